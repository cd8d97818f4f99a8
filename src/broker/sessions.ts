import { randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { AwakeTimer } from '../awake-timer.ts'
import { RunnerError } from '../errors.ts'
import { isRepositoryName } from '../repository-name.ts'
import type { AuditLine } from './audit.ts'
import { Session } from './session.ts'
import { digestOf, newToken } from './token.ts'
import { type OpenSession, SESSION_SOCKET, type UpstreamDoors } from './upstream-doors.ts'

/** Longest path of a socket, in bytes: the system keeps 108 with the final zero. */
const SOCKET_PATH_BYTES_MAX = 107
const SESSIONS_MAX = 256
/** Number of ended sessions whose summary is kept. */
const ENDED_MAX = 1024

const amount = z.number().positive()
const price = z.number().nonnegative()

/** The session that a launcher asks for. */
export const SessionWish = z.strictObject({
  id: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,40}$/, 'small letters, digits and hyphens, at most 41')
    .optional(),
  models: z.array(z.string().min(1)).nonempty().optional(),
  repositories: z
    .array(
      z.strictObject({
        name: z.string().refine(isRepositoryName, 'owner/name'),
        access: z.enum(['read', 'write']),
      }),
    )
    .refine(
      (all) => new Set(all.map(({ name }) => name.toLowerCase())).size === all.length,
      'a repository is named twice',
    )
    .default([]),
  mode: z.enum(['private', 'public']).default('private'),
  listen: z.enum(['socket', 'loopback']).default('socket'),
  branchPrefix: z
    .string()
    .regex(/^[A-Za-z0-9][\w.-]*\/$/, 'a name that ends with a slash, such as agui/')
    .default('agui/'),
  ttlSeconds: z.number().int().positive().max(86_400).default(3600),
  limits: z
    .strictObject({ requests: amount.int(), outputTokens: amount.int(), costUsd: amount })
    .partial()
    .default({}),
  prices: z
    .record(z.string(), z.strictObject({ input: price, output: price, cacheRead: price, cacheWrite: price }))
    .default({}),
})
export type SessionWish = z.infer<typeof SessionWish>

interface Live {
  session: Session
  /** Undefined while the session is being opened. */
  server: OpenSession | undefined
  folder: string
  ttlSeconds: number
  expiresAt: number
  timer: AwakeTimer
}

export interface SessionFacts {
  id: string
  state: 'open' | 'ended'
  used: Session['used']
  /** Addresses of the opened pull requests. */
  pullRequests: string[]
  expiresAt?: string
}

export interface SessionsOptions {
  folder: string
  doors: Pick<UpstreamDoors, 'open'>
  audit: (line: AuditLine) => void
}

/** The sessions of one broker, each with a folder and a socket of its own. */
export class Sessions {
  readonly #options: SessionsOptions
  readonly #live = new Map<string, Live>()
  readonly #ended = new Map<string, SessionFacts>()

  constructor(options: SessionsOptions) {
    this.#options = options
  }

  /** Opens a session. Its token is returned here and never again. @throws {RunnerError} `invalid_input`. */
  async open(wish: SessionWish): Promise<SessionFacts & Omit<OpenSession, 'close'> & { token: string }> {
    const id = wish.id ?? randomUUID()
    if (this.#live.has(id) || this.#ended.has(id))
      throw new RunnerError('invalid_input', `There is or was a session ${id}; take another id.`)
    if (this.#live.size >= SESSIONS_MAX)
      throw new RunnerError('invalid_input', `There are ${SESSIONS_MAX} sessions; end one first.`)
    const folder = join(this.#options.folder, id)
    const socket = join(folder, SESSION_SOCKET)
    if (Buffer.byteLength(socket) > SOCKET_PATH_BYTES_MAX)
      throw new RunnerError(
        'invalid_input',
        `${socket} is too long for a socket; put --control into a shorter folder.`,
      )
    const token = newToken()
    const { listen } = wish
    const session = new Session({
      id,
      rights: wish,
      digest: digestOf(token),
      needsToken: listen === 'loopback',
    })
    const { doors, audit } = this.#options
    const { ttlSeconds, mode } = wish
    const timer = new AwakeTimer(ttlSeconds * 1000, () => void this.end(id).catch(() => undefined))
    const live: Live = {
      session,
      server: undefined,
      folder,
      ttlSeconds,
      expiresAt: Date.now() + ttlSeconds * 1000,
      timer,
    }
    this.#live.set(id, live)
    try {
      // An agent that is given the folder can reach the socket. Others cannot pass the folder above it.
      await mkdir(folder, { mode: 0o711 })
      live.server = await doors.open({ session, mode, folder, listen, audit })
      if (this.#live.get(id) !== live) await live.server.close()
    } catch (error) {
      await this.end(id)
      throw error
    }
    const { close: _close, ...reached } = live.server
    return { ...factsOf(live), ...reached, token }
  }

  /** Restarts the session's lifetime. */
  renew(id: string): SessionFacts | undefined {
    const live = this.#live.get(id)
    if (live === undefined) return this.#ended.get(id)
    live.timer.restart()
    live.expiresAt = Date.now() + live.ttlSeconds * 1000
    return factsOf(live)
  }

  get(id: string): SessionFacts | undefined {
    const live = this.#live.get(id)
    return live === undefined ? this.#ended.get(id) : factsOf(live)
  }

  list(): SessionFacts[] {
    return [...this.#live.values()].map(factsOf)
  }

  /** Ends the session and its requests. Safe to call twice. */
  async end(id: string): Promise<SessionFacts | undefined> {
    const live = this.#live.get(id)
    if (live === undefined) return this.#ended.get(id)
    this.#live.delete(id)
    live.timer.close()
    const facts: SessionFacts = { ...factsOf(live), state: 'ended' }
    delete facts.expiresAt
    this.#ended.set(id, facts)
    for (const [oldest] of this.#ended) {
      if (this.#ended.size <= ENDED_MAX) break
      this.#ended.delete(oldest)
    }
    await live.server?.close()
    await rm(live.folder, { recursive: true, force: true })
    return facts
  }

  async close(): Promise<void> {
    await Promise.all([...this.#live.keys()].map((id) => this.end(id)))
  }
}

function factsOf({ session: { id, used, pulls }, expiresAt }: Live): SessionFacts {
  const pullRequests = [...pulls.values()]
  return { id, state: 'open', used, pullRequests, expiresAt: new Date(expiresAt).toISOString() }
}
