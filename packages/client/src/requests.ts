import { refusalOf } from './refusal.ts'
import { toObject } from './values.ts'

export interface RunnerOptions {
  /** The address of the runner. Its path is kept, since a proxy may serve the runner below one. */
  url: string | URL
  /** The runner's AGUI_TOKEN, if it has one. */
  token?: string
  /** For a page without the token: gets a ticket for the thread from a server that has it. Used for streams only. */
  ticket?: (threadId: string) => Promise<string>
  /** Sent with every request. */
  headers?: Readonly<Record<string, string>>
  /** Stands in for the global `fetch`. */
  fetch?: (url: string, options: RequestInit) => Promise<Response>
}

export interface Ticket {
  ticket: string
  threadId: string
  /** Milliseconds since 1970. */
  expiresAt: number
}

type Method = 'POST' | 'PUT' | 'PATCH'

/** The way to one agui-runner. It holds no connection of its own. */
export class Requests {
  readonly #options: RunnerOptions
  readonly #base: string

  constructor(options: RunnerOptions) {
    this.#options = options
    this.#base = baseOf(options.url)
  }

  /**
   * A ticket that stands for the token once, in the address of a stream of this thread: for an EventSource, which sends no
   * header, or a page without the token. `ttlMs` is how long it is valid, in milliseconds.
   *
   * @throws {Refusal}
   */
  async ticket(threadId: string, { ttlMs }: { ttlMs?: number } = {}): Promise<Ticket> {
    const body: unknown = await (await this.send('POST', 'tickets', { threadId, ttlMs })).json()
    const { ticket, expiresAt } = toObject(body)
    if (typeof ticket !== 'string' || typeof expiresAt !== 'number')
      throw new Error('The answer to POST /tickets has no ticket.')
    return { ticket, threadId, expiresAt }
  }

  /** The absolute address of a path of the runner. */
  address(path: string): string {
    return new URL(path, this.#base).href
  }

  /**
   * Asks any route of the runner. `path` begins without a slash.
   *
   * @throws {Refusal} for an answer that is no success; {TypeError} as `fetch` does, when there is no answer.
   */
  async request(path: string, options: RequestInit = {}): Promise<Response> {
    const { token, headers: own, fetch: ownFetch } = this.#options
    const headers = new Headers(options.headers)
    for (const [name, value] of Object.entries(own ?? {})) headers.set(name, value)
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
    const settings: RequestInit = { cache: 'no-store', ...options, headers }
    const address = this.address(path)
    const response = await (ownFetch === undefined ? fetch(address, settings) : ownFetch(address, settings))
    if (response.ok) return response
    throw await refusalOf(response)
  }

  /** Sends a JSON body. @throws as `request`. */
  async send(method: Method, path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
    return await this.request(path, {
      method,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      ...(signal === undefined ? {} : { signal }),
    })
  }

  /** Opens a stream of events. With tickets, each connection takes one of its own. @throws as `request`. */
  async stream(
    path: string,
    { threadId, query, signal }: { threadId: string; query: URLSearchParams; signal: AbortSignal },
  ): Promise<Response> {
    const ticket = await this.#options.ticket?.(threadId)
    if (ticket !== undefined) query.set('ticket', ticket)
    return await this.request(`${path}?${query}`, { headers: { accept: 'text/event-stream' }, signal })
  }
}

function baseOf(url: string | URL): string {
  const base = new URL(url)
  base.search = ''
  base.hash = ''
  if (!base.pathname.endsWith('/')) base.pathname += '/'
  return base.href
}
