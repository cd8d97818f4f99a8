import { LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { MockError } from './mock-error.ts'

/** Longest wait of a step, in milliseconds: one day, so that a misplaced digit does not look like a hang for ever. */
const WAIT_MS_MAX = 24 * 60 * 60 * 1000
const PIECES_MAX = 1_000_000
export const DELTAS_MAX = 10_000_000

const waitMs = z.number().min(0).max(WAIT_MS_MAX)
const regex = z.string().refine(isRegex, { error: 'not a valid regular expression' })
const tokens = z.number().int().min(0)
const headers = z.record(z.string(), z.string())

/** `pieces` cuts a text into that many deltas, or one for each word; `everyMs` waits between them. */
const pacing = {
  pieces: z.union([z.number().int().min(1).max(PIECES_MAX), z.literal('words')]).optional(),
  everyMs: waitMs.optional(),
}
const pieces = z.union([z.string(), z.array(z.string())])
const open = z.boolean().optional()

/** Names of the gateway's own answers (openshell.md 4.4). */
const GATEWAY_FAULTS = [
  'not-configured',
  'no-compatible-route',
  'unavailable',
  'service-error',
  'unauthorized',
  'not-allowed',
  'too-large',
] as const

const STEPS = {
  text: z.strictObject({ text: pieces, open, ...pacing }),
  thinking: z.strictObject({ thinking: pieces, signature: z.string().optional(), open, ...pacing }),
  redactedThinking: z.strictObject({ redactedThinking: z.string() }),
  tool: z.strictObject({
    tool: z.string().min(1),
    input: z.record(z.string(), z.unknown()).optional(),
    /** Text that is sent unchanged in the place of `input`, for arguments that are not JSON. */
    rawInput: z.string().optional(),
    id: z.string().optional(),
    open,
    ...pacing,
  }),
  deltas: z.strictObject({
    deltas: z.strictObject({
      /** A number, or a template that yields one. */
      count: z.union([z.number().int().min(0).max(DELTAS_MAX), z.string()]),
      perSecond: z.number().positive().optional(),
      text: z.string().optional(),
    }),
    open,
  }),
  pause: z.strictObject({ pause: waitMs }),
  gate: z.strictObject({ gate: z.string().min(1) }),
  hang: z.strictObject({ hang: z.literal(true) }),
  headersAfter: z.strictObject({ headersAfter: waitMs }),
  headers: z.strictObject({ headers }),
  usage: z.strictObject({
    usage: z.strictObject({
      input: tokens.optional(),
      output: tokens.optional(),
      cacheRead: tokens.optional(),
      cacheCreation: tokens.optional(),
    }),
  }),
  stop: z.strictObject({ stop: z.string().min(1), sequence: z.string().optional() }),
  error: z.strictObject({
    error: z.strictObject({
      status: z.number().int().min(200).max(599),
      type: z.string().optional(),
      message: z.string().optional(),
      headers: headers.optional(),
      /** Text that is sent unchanged in the place of Anthropic's error shape. */
      body: z.string().optional(),
    }),
  }),
  streamError: z.strictObject({
    streamError: z.strictObject({ type: z.string(), message: z.string().optional() }),
  }),
  raw: z.strictObject({ raw: z.string() }),
  drop: z.strictObject({ drop: z.literal(true) }),
  cut: z.strictObject({ cut: z.literal(true) }),
  truncate: z.strictObject({ truncate: z.enum(['idle', 'size', 'read']) }),
  gateway: z.strictObject({ gateway: z.enum(GATEWAY_FAULTS) }),
} as const

export type ScriptStep = { [Kind in keyof typeof STEPS]: z.infer<(typeof STEPS)[Kind]> }[keyof typeof STEPS]
export type StepOf<Kind extends keyof typeof STEPS> = z.infer<(typeof STEPS)[Kind]>
export type GatewayFault = (typeof GATEWAY_FAULTS)[number]

/** Finds a step's kind by the key that names it, so that an error is about one kind only. */
const stepSchema = z.unknown().transform((value, context): ScriptStep => {
  if (typeof value === 'string') return { text: value }
  const kind = kindOf(value)
  if (kind === undefined) {
    const kinds = Object.keys(STEPS).join(', ')
    context.addIssue({ code: 'custom', message: `a step is a text or an object with one of: ${kinds}` })
    return z.NEVER
  }
  const parsed = STEPS[kind].safeParse(value)
  if (parsed.success) return parsed.data
  for (const issue of parsed.error.issues) {
    context.addIssue({ code: 'custom', message: issue.message, path: issue.path })
  }
  return z.NEVER
})

const resultConditionSchema = z.strictObject({
  tool: z.string().optional(),
  matches: regex.optional(),
  isError: z.boolean().optional(),
})
const countSchema = z.union([
  z.number().int().min(0),
  z.strictObject({ min: z.number().int().min(0).optional(), max: z.number().int().min(0).optional() }),
])
const conditionSchema = z.strictObject({
  prompt: regex.optional(),
  note: regex.optional(),
  result: resultConditionSchema.optional(),
  model: regex.optional(),
  /** Has to match somewhere in the messages of the request, as JSON. */
  holds: regex.optional(),
  round: countSchema.optional(),
  nudges: countSchema.optional(),
  subagent: z.boolean().optional(),
  stream: z.boolean().optional(),
  /** Names of tools the request must offer. */
  offers: z.union([z.string(), z.array(z.string())]).optional(),
})
const ruleSchema = z.strictObject({
  name: z.string().optional(),
  when: conditionSchema.optional(),
  /** The rule is used up after this many answers. */
  times: z.number().int().min(1).optional(),
  reply: z.preprocess((reply) => (typeof reply === 'string' ? [reply] : reply), z.array(stepSchema)),
})
const connectSchema = z.strictObject({
  /** What happens to `CONNECT inference.local:443` (openshell.md 4.1); `refuse` and `bad-gateway` answer 403, 502. */
  fault: z.enum(['reset', 'silent', 'untrusted', 'refuse', 'bad-gateway']),
  times: z.number().int().min(1).optional(),
})
export const scriptSchema = z.strictObject({
  model: z.string().min(1).optional(),
  connect: connectSchema.optional(),
  rules: z.array(ruleSchema),
})

export type ParsedScript = z.infer<typeof scriptSchema>
export type Rule = z.infer<typeof ruleSchema>
/** The mock's answers (docs/mock-gateway.md). The first rule whose `when` fits a request answers it. */
export interface Script extends Omit<ParsedScript, 'rules'> {
  rules: (Omit<Rule, 'reply'> & { reply: string | (string | ScriptStep)[] })[]
}
export type Condition = z.infer<typeof conditionSchema>
export type ConnectFault = z.infer<typeof connectSchema>

/**
 * Reads a script from YAML or JSON `text`; `file` is the name used in messages.
 * Throws MockError with one `FILE:LINE:COL: path: what` for each problem.
 */
export function parseScript(text: string, file: string): ParsedScript {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset)
    return `${file}:${line}:${col}`
  }
  if (document.errors.length > 0) {
    fail(document.errors.map((error) => `${at(error.pos[0])}: ${error.message.split('\n')[0] ?? ''}`))
  }
  const parsed = scriptSchema.safeParse(document.toJS())
  if (parsed.success) return parsed.data
  return fail(
    parsed.error.issues.map(
      (issue) => `${at(offsetOf(document, issue.path))}: ${toPath(issue.path)}: ${issue.message}`,
    ),
  )
}

function fail(problems: readonly string[]): never {
  throw new MockError(problems.join('\n'))
}

/** Returns the offset in the text of the value at `path`, or of its nearest parent that exists. */
function offsetOf(document: ReturnType<typeof parseDocument>, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length -= 1) {
    const node: unknown = document.getIn(path.slice(0, length), true)
    const range = node instanceof Object && 'range' in node ? node.range : undefined
    if (Array.isArray(range) && typeof range[0] === 'number') return range[0]
  }
  return 0
}

function toPath(path: readonly PropertyKey[]): string {
  if (path.length === 0) return 'script'
  return path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '')
}

function kindOf(value: unknown): keyof typeof STEPS | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const isKind = (key: string): key is keyof typeof STEPS => Object.hasOwn(STEPS, key)
  return Object.keys(value).find(isKind)
}

function isRegex(source: string): boolean {
  try {
    new RegExp(source, 'is')
    return true
  } catch {
    return false
  }
}
