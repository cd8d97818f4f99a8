// The control plane's message service and its token endpoint, as control-plane.md 1.1 to 1.5 have them: a real gRPC server
// made of the link's own definitions, and a real HTTP server. What it stored, it keeps over its own deaths.
import { constants, createSign, generateKeyPairSync, privateDecrypt } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type StatusObject,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import { sessionService } from '../../src/platform-link/protocol.ts'
import type { Leaf } from '../../src/tunnel/authority.ts'

export interface StoredRow {
  seq: number
  type: string
  payload: string
  /** Milliseconds. */
  at: number
  /** Events only. */
  count?: number
  completedAt?: number
}

export interface Faults {
  /** Consulted before a push is stored. */
  refusePush?: (type: string) => { code: status; details: string } | undefined
  /** The push is stored, and its answer never comes, or is this. */
  loseAnswer?: (type: string) => 'silence' | status | undefined
  refuseWatch?: () => { code: status; details: string } | undefined
  /** Messages are stored, and nobody who watches hears of them. */
  isDeaf?: boolean
  /** Takes what it is sent, and says nothing. */
  isSilent?: boolean
  /** Milliseconds before a watch is served. */
  watchDelay?: number
}

export interface ControlPlaneOptions {
  sessionId: string
  /** TLS for both. */
  tls?: Leaf
  scheme?: 'A' | 'B' | 'none'
}

type PushRequest = {
  session_id: string
  event_type: string
  payload: string
  event_count?: number
  completed_at?: { seconds: string; nanos: number } | null
}

/** Of the control plane, for both schemes. */
const KEYS = generateKeyPairSync('rsa', { modulusLength: 2048 })
/** How long a token of scheme B says it lives, in seconds. */
const TOKEN_SECONDS = 300

export class ControlPlane {
  readonly #options: ControlPlaneOptions
  readonly messages: StoredRow[] = []
  readonly events: StoredRow[] = []
  faults: Faults = {}
  /** Tokens that were given out; those that are taken. */
  readonly given: string[] = []
  readonly good = new Set<string>()
  /** Every value of the authorization metadata that came. */
  readonly authorizations: string[] = []
  /** The bearers that the token endpoint was asked with. */
  readonly asked: string[] = []
  tokenStatus = 200
  /** How often a watch was begun. */
  watches = 0
  readonly #watchers = new Set<ServerWritableStream<object, object>>()
  #seq = 1000
  #server: Server | undefined
  #port = 0
  readonly #tokens: HttpServer
  #changes = new Set<() => void>()

  constructor(options: ControlPlaneOptions) {
    this.#options = options
    const answer = (request: IncomingMessage, response: ServerResponse): void =>
      this.#answerToken(request, response)
    this.#tokens = options.tls === undefined ? createServer(answer) : createTlsServer(options.tls, answer)
  }

  async open(): Promise<void> {
    this.#tokens.listen(0, '127.0.0.1')
    await once(this.#tokens, 'listening')
    await this.start()
  }

  /** Begins to serve, on the port it had before. */
  async start(): Promise<void> {
    const server = new Server()
    const { PushSessionMessage, PushSessionEvent, WatchSessionMessages } = sessionService()
    server.addService(
      { PushSessionMessage, PushSessionEvent, WatchSessionMessages } as never,
      {
        PushSessionMessage: (call: ServerUnaryCall<PushRequest, object>, done: sendUnaryData<object>) =>
          this.#push(this.messages, call, done),
        PushSessionEvent: (call: ServerUnaryCall<PushRequest, object>, done: sendUnaryData<object>) =>
          this.#push(this.events, call, done),
        WatchSessionMessages: (call: ServerWritableStream<{ after_seq: string }, object>) =>
          this.#watch(call),
      } as never,
    )
    const { tls } = this.#options
    const credentials =
      tls === undefined
        ? ServerCredentials.createInsecure()
        : ServerCredentials.createSsl(null, [
            { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) },
          ])
    this.#port = await new Promise<number>((resolve, reject) =>
      server.bindAsync(`127.0.0.1:${this.#port}`, credentials, (error, port) =>
        error === null ? resolve(port) : reject(error),
      ),
    )
    this.#server = server
  }

  /** Dies in the middle of whatever it does. */
  kill(): void {
    this.#server?.forceShutdown()
    this.#server = undefined
    this.#watchers.clear()
  }

  close(): void {
    this.kill()
    this.#tokens.close()
    this.#tokens.closeAllConnections()
  }

  get address(): string {
    return `localhost:${this.#port}`
  }

  /** What the control plane gives its runner. */
  get environment(): Record<string, string> {
    const { sessionId, tls, scheme = 'none' } = this.#options
    const { port } = this.#tokens.address() as AddressInfo
    const common = {
      SESSION_ID: sessionId,
      AMBIENT_GRPC_ENABLED: 'true',
      AMBIENT_GRPC_URL: this.address,
      AMBIENT_GRPC_USE_TLS: String(tls !== undefined),
    }
    if (scheme === 'none') return common
    const url = { AMBIENT_CP_TOKEN_URL: `${tls === undefined ? 'http' : 'https'}://localhost:${port}/token` }
    if (scheme === 'B') {
      const insecure = tls === undefined ? { AMBIENT_ALLOW_INSECURE_RUNNER_TRANSPORT: 'true' } : {}
      return { ...common, ...url, ...insecure, AMBIENT_RUNNER_BOOTSTRAP_TOKEN: BOOTSTRAP }
    }
    const pem = KEYS.publicKey.export({ type: 'spki', format: 'pem' }).toString()
    return { ...common, ...url, AMBIENT_CP_TOKEN_PUBLIC_KEY: Buffer.from(pem).toString('base64') }
  }

  /** A person says something; as the REST side stores it. */
  say(payload: string, { at = Date.now(), type = 'user' } = {}): number {
    const row = { seq: this.#nextSeq(), type, payload, at }
    this.messages.push(row)
    if (this.faults.isDeaf !== true) this.#deliver(row)
    this.#changed()
    return row.seq
  }

  /** Delivers a message that is stored, late or once more. */
  redeliver(seq: number): void {
    for (const row of this.messages) if (row.seq === seq) this.#deliver(row)
  }

  /** Every token that was given is taken no more, and streams that stand on one are cut. */
  expireTokens(code = status.UNAUTHENTICATED): void {
    this.good.clear()
    for (const call of this.#watchers) call.emit('error', { code, details: 'token expired' })
    this.#watchers.clear()
  }

  get watching(): number {
    return this.#watchers.size
  }

  /** What was pushed, without what people said. */
  get pushed(): StoredRow[] {
    return this.messages.filter(({ type }) => type !== 'user')
  }

  /** Resolves when it holds; looked at whenever something comes. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#changes.add(resolve))
  }

  #nextSeq(): number {
    // Of the whole table: other sessions take some.
    this.#seq += 1 + (this.#seq % 3)
    return this.#seq
  }

  #push(rows: StoredRow[], call: ServerUnaryCall<PushRequest, object>, done: sendUnaryData<object>): void {
    const { event_type: type, payload, event_count, completed_at } = call.request
    const { faults } = this
    if (faults.isSilent === true) return
    const refusal = this.#refusal(call.metadata, call.request.session_id) ?? faults.refusePush?.(type)
    if (refusal !== undefined) {
      done({ ...refusal, name: 'refused', message: refusal.details })
      return
    }
    const completedAt =
      completed_at == null
        ? {}
        : { completedAt: Number(completed_at.seconds) * 1000 + completed_at.nanos / 1e6 }
    const count = rows === this.events ? { count: event_count ?? 0 } : {}
    const row = { seq: this.#nextSeq(), type, payload, at: Date.now(), ...count, ...completedAt }
    rows.push(row)
    if (rows === this.messages && faults.isDeaf !== true) this.#deliver(row)
    const lost = faults.loseAnswer?.(type)
    this.#changed()
    if (lost === undefined) done(null, this.#toWire(row))
    else if (lost !== 'silence') done({ code: lost, details: 'lost', name: 'lost', message: 'lost' })
  }

  #watch(call: ServerWritableStream<{ after_seq: string; session_id?: string }, object>): void {
    this.watches += 1
    this.#changed()
    const refusal = this.#refusal(call.metadata, call.request.session_id ?? '') ?? this.faults.refuseWatch?.()
    if (refusal !== undefined) return void call.emit('error', refusal)
    if (this.faults.isSilent === true) return
    setTimeout(() => this.#serveWatch(call), this.faults.watchDelay ?? 0)
  }

  #serveWatch(call: ServerWritableStream<{ after_seq: string }, object>): void {
    if (call.cancelled) return
    const after = Number(call.request.after_seq)
    for (const row of this.messages) if (row.seq > after) call.write(this.#toWire(row))
    this.#watchers.add(call)
    call.on('cancelled', () => this.#watchers.delete(call))
    this.#changed()
  }

  #refusal(metadata: Metadata, sessionId: string): Pick<StatusObject, 'code' | 'details'> | undefined {
    const values = metadata.get('authorization').map(String)
    this.authorizations.push(...values)
    const { scheme = 'none' } = this.#options
    const token = values.length === 1 ? (values[0] ?? '').replace(/^Bearer /, '') : ''
    if (scheme !== 'none' && !this.good.has(token)) return { code: status.UNAUTHENTICATED, details: 'no' }
    if (sessionId !== this.#options.sessionId)
      return { code: status.PERMISSION_DENIED, details: 'another session' }
    return undefined
  }

  #deliver(row: StoredRow): void {
    for (const call of this.#watchers) call.write(this.#toWire(row))
  }

  #toWire({ seq, type, payload, at }: StoredRow): object {
    const created_at = { seconds: String(Math.floor(at / 1000)), nanos: (at % 1000) * 1e6 }
    return {
      id: String(seq),
      session_id: this.#options.sessionId,
      seq: String(seq),
      event_type: type,
      payload,
      created_at,
    }
  }

  #changed(): void {
    const waiting = this.#changes
    this.#changes = new Set()
    for (const wake of waiting) wake()
  }

  #answerToken(request: IncomingMessage, response: ServerResponse): void {
    const bearer = (request.headers.authorization ?? '').replace(/^Bearer /, '')
    this.asked.push(bearer)
    const { scheme = 'none', sessionId } = this.#options
    if (this.tokenStatus !== 200)
      return void response.writeHead(this.tokenStatus).end('no token: SECRET-BODY')
    const isRight = scheme === 'B' ? bearer === BOOTSTRAP : this.#decrypted(bearer) === sessionId
    if (!isRight) return void response.writeHead(401).end()
    const token = scheme === 'B' ? this.#runnerToken() : `oidc.${this.given.length}.abcdefghijklmnop`
    this.given.push(token)
    this.good.add(token)
    const expires_at = Math.floor(Date.now() / 1000) + TOKEN_SECONDS
    response.setHeader('cache-control', 'no-store')
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(scheme === 'B' ? { token, expires_at } : { token }))
  }

  #runnerToken(): string {
    const claims = Buffer.from(JSON.stringify({ purpose: 'access', n: this.given.length })).toString(
      'base64url',
    )
    const key = { key: KEYS.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING }
    const signature = createSign('sha256').update(claims).sign(key, 'base64url')
    return `acp-runner-v1.${claims}.${signature}`
  }

  #decrypted(bearer: string): string | undefined {
    try {
      const padding = constants.RSA_PKCS1_OAEP_PADDING
      const key = { key: KEYS.privateKey, padding, oaepHash: 'sha256' }
      return privateDecrypt(key, Buffer.from(bearer, 'base64')).toString()
    } catch {
      return undefined
    }
  }
}

const BOOTSTRAP = 'acp-runner-v1.Ym9vdHN0cmFwLWNsYWltcw.c2lnbmF0dXJlLW9mLXRoZS1ib290c3RyYXA'
