import { newId } from './new-id.ts'
import { refusalOf } from './refusal.ts'
import { Thread } from './thread.ts'
import { isThreadDescription, type ThreadDescription } from './thread-description.ts'
import { toObject } from './values.ts'

export interface RunnerOptions {
  /** Where the runner is. A path before it is kept: a proxy may serve it under one. */
  url: string | URL
  /** Its AGUI_TOKEN, when it has one. */
  token?: string
  /** For a page that has no token itself: a fresh ticket for the thread, from a server that has; for streams only. */
  ticket?: (threadId: string) => Promise<string>
  /** On every request. */
  headers?: Readonly<Record<string, string>>
  fetch?: (url: string, options: RequestInit) => Promise<Response>
}

export interface Ticket {
  ticket: string
  threadId: string
  /** Milliseconds since 1970. */
  expiresAt: number
}

type Method = 'POST' | 'PUT' | 'PATCH'

/** One agui-runner. It holds no connection; what is opened is of the threads. */
export class Runner {
  readonly #options: RunnerOptions
  readonly #base: string

  constructor(options: RunnerOptions) {
    this.#options = options
    this.#base = baseOf(options.url)
  }

  /** The thread of that name, or a new one. The runner makes it when its first run begins. */
  thread(threadId: string = newId()): Thread {
    return new Thread(this, threadId)
  }

  async threads(signal?: AbortSignal): Promise<ThreadDescription[]> {
    const body: unknown = await (
      await this.request('sessions', signal === undefined ? {} : { signal })
    ).json()
    const sessions = toObject(body)['sessions']
    return Array.isArray(sessions) ? sessions.filter(isThreadDescription) : []
  }

  /** A ticket stands for the token once, in the URL of a stream of that thread: for an EventSource or a page without it. */
  async ticket(threadId: string, { ttlMs }: { ttlMs?: number } = {}): Promise<Ticket> {
    const body: unknown = await (await this.send('POST', 'tickets', { threadId, ttlMs })).json()
    const { ticket, expiresAt } = toObject(body)
    if (typeof ticket !== 'string' || typeof expiresAt !== 'number')
      throw new Error('The answer to POST /tickets has no ticket.')
    return { ticket, threadId, expiresAt }
  }

  /** The address of a path of the runner's. */
  address(path: string): string {
    return new URL(path, this.#base).href
  }

  /**
   * Any route of the runner; `path` begins without a slash.
   *
   * @throws {Refusal} for every answer that is no success.
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

  async send(method: Method, path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
    return await this.request(path, {
      method,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      ...(signal === undefined ? {} : { signal }),
    })
  }

  /** A stream of events; each connection takes a ticket of its own where there are tickets. */
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
