import { MockError } from './mock-error.ts'
import type { RequestFacts, RequestToolResult } from './request-facts.ts'
import {
  type Condition,
  type ConnectFault,
  type Rule,
  type Script,
  type ScriptStep,
  scriptSchema,
} from './script.ts'

/** The rule that answers a request, its templates filled in. */
export interface Match {
  /** The rule's name, else `rules[N]`. */
  readonly rule: string
  readonly steps: readonly ScriptStep[]
}

/** A script in use: it counts how often each rule has answered. */
export interface RuleBook {
  readonly model: string | undefined
  /** Returns the first rule that fits and is not used up, and counts its use; undefined when there is none. */
  match(facts: RequestFacts): Match | undefined
  /** Returns the fault for the next `CONNECT inference.local:443` and counts it; undefined when none is left. */
  nextConnectFault(): ConnectFault['fault'] | undefined
}

type Variables = Readonly<Record<string, string>>

interface PreparedRule {
  readonly name: string
  readonly rule: Rule
  fit(facts: RequestFacts): Variables | undefined
  left: number
}

/** Creates the rule book of a script. Throws MockError when a script made in code does not fit the schema. */
export function createRuleBook(script: Script): RuleBook {
  const parsed = scriptSchema.safeParse(script)
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      (issue) => `${issue.path.map(String).join('.')}: ${issue.message}`,
    )
    throw new MockError(`mock gateway script: ${problems.join('; ')}`)
  }
  const rules = parsed.data.rules.map(prepare)
  const { connect, model } = parsed.data
  let connectsLeft = connect === undefined ? 0 : (connect.times ?? Number.POSITIVE_INFINITY)
  return {
    model,
    match(facts) {
      for (const prepared of rules) {
        const variables = prepared.left > 0 ? prepared.fit(facts) : undefined
        if (variables === undefined) continue
        prepared.left -= 1
        return { rule: prepared.name, steps: expand(prepared.rule.reply, variables) }
      }
      return undefined
    },
    nextConnectFault() {
      if (connect === undefined || connectsLeft <= 0) return undefined
      connectsLeft -= 1
      return connect.fault
    },
  }
}

function prepare(rule: Rule, index: number): PreparedRule {
  return {
    name: rule.name ?? `rules[${index}]`,
    rule,
    left: rule.times ?? Number.POSITIVE_INFINITY,
    fit: prepareCondition(rule.when ?? {}),
  }
}

function prepareCondition(when: Condition): (facts: RequestFacts) => Variables | undefined {
  const prompt = toRegex(when.prompt)
  const note = toRegex(when.note)
  const model = toRegex(when.model)
  const holds = toRegex(when.holds)
  const resultText = toRegex(when.result?.matches)
  const offers = [when.offers ?? []].flat()
  return (facts) => {
    const prompted = prompt.exec(facts.prompt)
    const noted = note.exec(facts.note)
    if (prompted === null || noted === null || !model.test(facts.model)) return undefined
    if (when.holds !== undefined && !holds.test(facts.messages)) return undefined
    if (!inRange(facts.round, when.round) || !inRange(facts.nudges, when.nudges)) return undefined
    if (when.subagent !== undefined && when.subagent !== facts.subagent) return undefined
    if (when.stream !== undefined && when.stream !== facts.stream) return undefined
    if (!offers.every((tool) => facts.tools.includes(tool))) return undefined
    const result = facts.results.findLast((candidate) => fitsResult(candidate, when.result, resultText))
    if (when.result !== undefined && result === undefined) return undefined
    return {
      prompt: facts.prompt,
      note: facts.note,
      model: facts.model,
      round: String(facts.round),
      cwd: facts.cwd,
      tools: facts.tools.join(', '),
      result: result?.text ?? '',
      ...groups('', prompted),
      ...groups('note.', noted),
      ...groups('result.', resultText.exec(result?.text ?? '')),
    }
  }
}

function fitsResult(result: RequestToolResult, when: Condition['result'], text: RegExp): boolean {
  if (when === undefined) return true
  if (when.tool !== undefined && when.tool !== result.tool) return false
  if (when.isError !== undefined && when.isError !== result.isError) return false
  return text.test(result.text)
}

function toRegex(source: string | undefined): RegExp {
  return new RegExp(source ?? '', 'is')
}

function inRange(value: number, when: Condition['round']): boolean {
  if (when === undefined) return true
  if (typeof when === 'number') return value === when
  return value >= (when.min ?? 0) && value <= (when.max ?? Number.POSITIVE_INFINITY)
}

function groups(prefix: string, match: RegExpExecArray | null): Record<string, string> {
  const found: [string, string | undefined][] = [
    ...(match ?? []).slice(1).map((text, index): [string, string | undefined] => [String(index + 1), text]),
    ...Object.entries(match?.groups ?? {}),
  ]
  return Object.fromEntries(found.map(([name, text]) => [prefix + name, text ?? '']))
}

const TEMPLATE = /\{\{\s*([\w.]+)\s*(?:\|([^}]*))?\}\}/g

/** Fills `{{name}}` and `{{name|used when empty}}` in every string of a value; unknown names stay as they are. */
function expand<T>(value: T, variables: Variables): T
function expand(value: unknown, variables: Variables): unknown {
  if (typeof value === 'string') {
    return value.replace(TEMPLATE, (whole, name: string, fallback?: string) =>
      Object.hasOwn(variables, name) ? variables[name] || (fallback ?? '') : whole,
    )
  }
  if (Array.isArray(value)) return value.map((item: unknown) => expand(item, variables))
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, expand(item, variables)]))
  }
  return value
}
