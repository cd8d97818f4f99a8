import { Refusal } from './refusal.ts'

export interface RepositoryRight {
  /** `owner/name`. */
  name: string
  access: 'read' | 'write'
}

/** US dollars for a million tokens. */
interface Price {
  input: number
  output: number
  cacheRead: number
  cacheWrite: number
}

interface Limits {
  requests?: number | undefined
  /** Limit of the tokens that models write. */
  outputTokens?: number | undefined
  costUsd?: number | undefined
}

/** The rights of a session. An undefined limit does not apply. */
export interface Rights {
  models?: readonly string[] | undefined
  repositories: readonly RepositoryRight[]
  /** Prefix of the branches that may be pushed, such as `agui/`. */
  branchPrefix: string
  limits: Limits
  /** Prices by model, for a limit on cost. */
  prices: Readonly<Record<string, Price>>
}

/** The tokens of one answer, as the API counts them. */
export interface Tokens {
  input: number
  output: number
  cacheRead: number
  cacheWrite: number
}

/** Returns the session's right to a repository. Repository names ignore case. */
export function rightTo({ repositories }: Rights, name: string): RepositoryRight['access'] | undefined {
  return repositories.find((one) => one.name.toLowerCase() === name.toLowerCase())?.access
}

/** The rights of the agent of this process: the model and nothing else. */
export const OWN_AGENT: Rights = { repositories: [], branchPrefix: '', limits: {}, prices: {} }

const MILLION = 1_000_000

/** One session: its proof, its rights and its usage. */
export class Session {
  readonly id: string
  readonly rights: Rights
  /** SHA-256 of the session's token. */
  readonly digest: Buffer
  /** Whether a token is needed. On a socket of its own every client is the session. */
  readonly needsToken: boolean
  readonly used = { requests: 0, inputTokens: 0, outputTokens: 0, costUsd: 0 }
  /** Addresses of the opened pull requests, by `owner/name#7`. */
  readonly pulls = new Map<string, string>()

  constructor(options: Pick<Session, 'id' | 'rights' | 'digest' | 'needsToken'>) {
    this.id = options.id
    this.rights = options.rights
    this.digest = options.digest
    this.needsToken = options.needsToken
  }

  /** Whether the session has no limits, so that its answers need not be counted. */
  get isUnlimited(): boolean {
    return this.rights === OWN_AGENT
  }

  /** Takes one model request from the budget. An answer in progress counts when it has ended. */
  takeRequest(model: string | undefined): void {
    const { models, limits, prices } = this.rights
    if (models !== undefined && model !== undefined && !models.includes(model))
      throw new Refusal(`This session may not ask the model ${model}; it may ask ${models.join(', ')}.`)
    const { used } = this
    for (const [name, unit] of BUDGETS) {
      const limit = limits[name]
      if (limit !== undefined && used[name] >= limit)
        throw new Refusal(`This session has used its ${limit} ${unit} (${used[name]} so far).`)
    }
    if (limits.costUsd !== undefined && model !== undefined && prices[model] === undefined)
      throw new Refusal(`This session has a limit on cost and no price for the model ${model}.`)
    used.requests += 1
  }

  /** Adds the cost of one answer. */
  add(model: string | undefined, tokens: Tokens): { costUsd?: number } {
    const price = model === undefined ? undefined : this.rights.prices[model]
    const { used } = this
    used.inputTokens += tokens.input + tokens.cacheRead + tokens.cacheWrite
    used.outputTokens += tokens.output
    if (price === undefined) return {}
    const costUsd =
      (tokens.input * price.input +
        tokens.output * price.output +
        tokens.cacheRead * price.cacheRead +
        tokens.cacheWrite * price.cacheWrite) /
      MILLION
    used.costUsd += costUsd
    return { costUsd }
  }
}

const BUDGETS = [
  ['requests', 'requests'],
  ['outputTokens', 'output tokens'],
  ['costUsd', 'US dollars'],
] as const
