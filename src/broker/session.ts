import { Refusal } from './refusal.ts'

export interface RepositoryRight {
  /** `owner/name`. */
  name: string
  access: 'read' | 'write'
}

/** US dollars a million tokens. */
interface Price {
  input: number
  output: number
  cacheRead: number
  cacheWrite: number
}

interface Limits {
  requests?: number | undefined
  /** Tokens that the model wrote. */
  outputTokens?: number | undefined
  costUsd?: number | undefined
}

/** What a session may do. Where a field is undefined there is no such limit. */
export interface Rights {
  models?: readonly string[] | undefined
  repositories: readonly RepositoryRight[]
  /** Of the branches that may be pushed: `agui/`. */
  branchPrefix: string
  limits: Limits
  /** By model; a limit on cost is kept with these. */
  prices: Readonly<Record<string, Price>>
}

/** Tokens of one answer, as the API counts them. */
export interface Tokens {
  input: number
  output: number
  cacheRead: number
  cacheWrite: number
}

/** What a session may do with a repository, whose names know no case. */
export function rightTo({ repositories }: Rights, name: string): RepositoryRight['access'] | undefined {
  return repositories.find((one) => one.name.toLowerCase() === name.toLowerCase())?.access
}

/** The rights of the agent in this process: a model, and nothing else. */
export const OWN_AGENT: Rights = { repositories: [], branchPrefix: '', limits: {}, prices: {} }

const MILLION = 1_000_000

/** Who asks, what it may, and what it has used of that. */
export class Session {
  readonly id: string
  readonly rights: Rights
  /** SHA-256 of its token. */
  readonly digest: Buffer
  /** Not on a socket of its own, where whoever connects is the session. */
  readonly needsToken: boolean
  readonly used = { requests: 0, inputTokens: 0, outputTokens: 0, costUsd: 0 }
  /** Addresses of the pull requests that it has opened, by `owner/name#7`. */
  readonly pulls = new Map<string, string>()

  constructor(options: Pick<Session, 'id' | 'rights' | 'digest' | 'needsToken'>) {
    this.id = options.id
    this.rights = options.rights
    this.digest = options.digest
    this.needsToken = options.needsToken
  }

  /** Nobody asks what its answers cost. */
  get isUnlimited(): boolean {
    return this.rights === OWN_AGENT
  }

  /** Takes one request to a model from the budget; answers under way count when they have been given. */
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

  /** Adds what one answer has cost. */
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
