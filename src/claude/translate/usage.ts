import type { TokenUsage } from '@ag-ui/core'
import type { ContextUse, RunUse } from '../../agent/agent.ts'
import type { AssistantMessage, ModelUsage, ResultMessage } from './messages.ts'

const COUNTS = [
  'inputTokens',
  'outputTokens',
  'thinkingTokens',
  'cacheReadInputTokens',
  'cacheCreationInputTokens',
] as const

type Totals = Record<string, ModelUsage>

/** The usage of a Claude session so far, from its last result. Costs are in US dollars. */
export interface UsageTotals {
  models: Totals
  costUsd?: number
}

/**
 * Usage of one run. Claude Code reports totals of the session; a run's share is their growth. The totals outlive the
 * process (a resumed session continues from those of its transcript), or start again at zero.
 */
export class RunUsage {
  #totals: UsageTotals
  readonly #run: Totals = {}
  #costUsd: number | undefined
  #last: { model: string | undefined; tokens: number } | undefined

  constructor(totals: UsageTotals) {
    this.#totals = totals
  }

  get totals(): UsageTotals {
    return this.#totals
  }

  /** Clears the session's totals when the conversation was cleared. */
  reset(): void {
    this.#totals = { models: {} }
  }

  add(result: ResultMessage): void {
    const { modelUsage: models = {}, model_usage_since_last_result: since } = result
    // 2.1.329 reports the last turn's share itself; older versions report only the totals.
    for (const [model, used] of Object.entries(since ?? models)) {
      const share = since === undefined ? growth(used, this.#totals.models[model]) : used
      this.#run[model] = sum(this.#run[model], share)
    }
    // A result that a dying process made up has no figures. The next real result continues from the last real one.
    if (Object.keys(models).length === 0) return
    const { total_cost_usd: cost } = result
    if (cost !== undefined && cost >= 0) {
      const before = this.#totals.costUsd ?? 0
      this.#costUsd = (this.#costUsd ?? 0) + (cost >= before ? cost - before : cost)
    }
    this.#totals = { models, ...(cost === undefined ? {} : { costUsd: cost }) }
  }

  /** Notes an answer of the model in the conversation itself, not in a subagent's. */
  answered({ model, usage }: AssistantMessage['message']): void {
    const { input_tokens, cache_creation_input_tokens, cache_read_input_tokens, output_tokens } = usage ?? {}
    const counts = [input_tokens, cache_creation_input_tokens, cache_read_input_tokens, output_tokens]
    const tokens = counts.reduce<number>((total, count) => total + (whole(count) ?? 0), 0)
    if (tokens > 0) this.#last = { model, tokens }
  }

  /** Returns the run's usage. Unknown figures are left out. `model` is Claude Code's name of the session's model. */
  used(model: string | undefined): RunUse {
    const usage = Object.entries(this.#run).flatMap(([model, used]) => toTokenUsage(model, used))
    const context = this.#context(model)
    return {
      ...(usage.length === 0 ? {} : { usage }),
      ...(this.#costUsd === undefined ? {} : { costUsd: withoutNoise(this.#costUsd) }),
      ...(context === undefined ? {} : { context }),
    }
  }

  #context(model = ''): ContextUse | undefined {
    if (this.#last === undefined) return undefined
    const { models } = this.#totals
    // A gateway may name the model differently in its answers.
    const window = whole((models[this.#last.model ?? ''] ?? models[model])?.contextWindow)
    return { tokens: this.#last.tokens, ...(window ? { window } : {}) }
  }
}

/** Rounds to 9 decimals: a difference of sums has digits beyond that without meaning. */
function withoutNoise(usd: number): number {
  return Number(usd.toFixed(9))
}

/** Converts the counts: Anthropic counts cached prompt tokens beside the input, AG-UI includes them in it. */
function toTokenUsage(model: string, used: ModelUsage): TokenUsage[] {
  const input = whole(used.inputTokens)
  const output = whole(used.outputTokens)
  const cached = whole(used.cacheReadInputTokens)
  const written = whole(used.cacheCreationInputTokens)
  const reasoning = whole(used.thinkingTokens)
  const prompt = input === undefined ? undefined : input + (cached ?? 0) + (written ?? 0)
  if (!prompt && !output) return []
  const provider = used.provider === 'firstParty' ? 'anthropic' : used.provider
  return [
    {
      ...(provider === undefined ? {} : { provider }),
      model,
      ...(prompt === undefined ? {} : { inputTokens: prompt }),
      ...(output === undefined ? {} : { outputTokens: output }),
      ...(prompt === undefined || output === undefined ? {} : { totalTokens: prompt + output }),
      ...(reasoning === undefined ? {} : { reasoningTokens: reasoning }),
      ...(cached === undefined ? {} : { cachedInputTokens: cached }),
      ...(written === undefined ? {} : { cacheWriteInputTokens: written }),
    },
  ]
}

function growth(now: ModelUsage, before: ModelUsage | undefined): ModelUsage {
  if (before === undefined) return now
  // A smaller count than before has begun anew: all of it is new.
  const restarted = COUNTS.some((name) => (now[name] ?? 0) < (before[name] ?? 0))
  return restarted ? now : combine(now, before, (a, b) => a - b)
}

function sum(a: ModelUsage | undefined, b: ModelUsage): ModelUsage {
  return a === undefined ? b : combine(b, a, (x, y) => x + y)
}

function combine(a: ModelUsage, b: ModelUsage, of: (a: number, b: number) => number): ModelUsage {
  const combined = { ...a }
  for (const name of COUNTS) {
    const value = a[name]
    if (value !== undefined) combined[name] = of(value, b[name] ?? 0)
  }
  return combined
}

/** Returns a count that AG-UI accepts. An invalid count would make the run's last event fatal to the client. */
function whole(value: number | undefined): number | undefined {
  return value !== undefined && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}
