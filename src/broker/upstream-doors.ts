import { join, resolve } from 'node:path'
import { request } from 'undici'
import { toMessage } from '../errors.ts'
import type { GitHubApp } from '../github-app/app-token.ts'
import { type Clock, SYSTEM_CLOCK } from '../github-app/held-token.ts'
import { PLACEHOLDER_KEY } from '../model-route/credentials.ts'
import type { ModelRouteKind } from '../model-route/route-kind.ts'
import type { Policy } from '../policy/read/schema.ts'
import type { EgressDecision } from '../sandbox/egress/denial.ts'
import type { AuditLine } from './audit.ts'
import type { Door } from './door.ts'
import type { EgressDoor } from './egress-door.ts'
import { GitDoor } from './git-door.ts'
import { appCredential, checkSignature, fixedCredential, type GitHubCredential } from './github-credential.ts'
import { GitHubDoor } from './github-door.ts'
import { type GitHubUpstream, openGitHub } from './github-upstream.ts'
import { ModelDoor } from './model-door.ts'
import { openUpstream } from './model-upstream.ts'
import type { RouteEnvironment } from './own-broker.ts'
import type { Session } from './session.ts'
import { SessionServer } from './session-server.ts'

export interface UpstreamsOptions extends RouteEnvironment {
  /** Decides about every other host; undefined when none may be reached. */
  policy: Policy | undefined
  /** The App whose tokens GitHub gets, one per session; undefined for GITHUB_TOKEN. */
  app: GitHubApp | undefined
  /** Called when a token fails during a session. */
  onTokenProblem(message: string): void
  /** For tests. */
  clock?: Clock
}

export interface SessionPlace {
  session: Session
  /** In private mode the broker is also the way to other hosts. */
  mode: 'private' | 'public'
  /** The session's own folder, with its socket and certificates. */
  folder: string
  /** On a socket every client is the session; on loopback the token is needed. */
  listen: 'socket' | 'loopback'
  audit: ((line: AuditLine) => void) | undefined
}

/** The address of an open session. */
export interface OpenSession {
  socket?: string
  url?: string
  close(): Promise<void>
}

/** Whether an upstream answers at all. `message` is the reason when it does not. */
export interface UpstreamState {
  ok: boolean
  message?: string
}

/** Name of the socket in the session's folder. */
export const SESSION_SOCKET = 'gateway.sock'
const READY_MS = 15_000

/** The upstreams of agents in other processes, with the credentials of this environment. */
export class UpstreamDoors {
  readonly #options: UpstreamsOptions
  readonly #model: ReturnType<typeof openUpstream>
  readonly #github: GitHubUpstream
  readonly #modelDoor: Door
  /** The credentials of the open sessions. */
  readonly #credentials = new Set<GitHubCredential>()

  /** @throws {RunnerError} `config_invalid`. */
  constructor(options: UpstreamsOptions) {
    this.#options = options
    this.#model = openUpstream(options)
    this.#github = openGitHub(options.env)
    this.#modelDoor = new ModelDoor(this.#model)
  }

  /** @throws {RunnerError} when the App has no token for the session's repositories. */
  async open(place: SessionPlace): Promise<OpenSession> {
    const credential = await this.#credentialOf(place.session)
    const forget = async (): Promise<void> => {
      await credential.close()
      this.#credentials.delete(credential)
    }
    try {
      await credential.open()
      const { server, ...reached } = await this.#serve(place, credential)
      return {
        ...reached,
        async close() {
          await server.close()
          await forget()
        },
      }
    } catch (error) {
      await forget()
      throw error
    }
  }

  async #credentialOf({ id, rights }: Session): Promise<GitHubCredential> {
    const { app, env, clock = SYSTEM_CLOCK, onTokenProblem } = this.#options
    if (app === undefined || rights.repositories.length === 0)
      return fixedCredential(app === undefined ? env['GITHUB_TOKEN'] || undefined : undefined)
    const onProblem = (message: string): void => onTokenProblem(`session ${id}: ${message}`)
    const credential = await appCredential({ app, github: this.#github, rights, clock, onProblem })
    this.#credentials.add(credential)
    return credential
  }

  async #serve(
    { session, mode, folder, listen, audit }: SessionPlace,
    credential: GitHubCredential,
  ): Promise<{ server: SessionServer; socket?: string; url?: string }> {
    const { policy, env } = this.#options
    const onDecision = (decision: EgressDecision): void => audit?.(lineOf(session.id, decision))
    let egress: EgressDoor | undefined
    if (mode === 'private' && policy !== undefined) {
      const { openEgressDoor } = await import('./egress-door.ts')
      egress = await openEgressDoor({ policy, env, onDecision })
      egress.writeCertificates(folder)
    }
    const doors = [
      new GitDoor(this.#github, credential),
      new GitHubDoor(this.#github, credential),
      this.#modelDoor,
    ]
    const server = new SessionServer({ session, doors, audit, egress })
    if (listen === 'loopback') return { server, url: await server.listenOnLoopback() }
    const socket = join(folder, SESSION_SOCKET)
    await server.listenOnSocket(socket)
    // A launcher may be in another folder than this process.
    return { server, socket: resolve(socket) }
  }

  /** Asks each upstream once, without a session's credential. */
  async ready(): Promise<Record<string, UpstreamState>> {
    const { route, app } = this.#options
    const { probeRoute } = await import('../model-route/probe.ts')
    const signal = AbortSignal.timeout(READY_MS)
    const [model, git, github, githubApp] = await Promise.all([
      probeRoute(route, { timeoutMs: READY_MS, signal: new AbortController().signal }),
      this.#answers(this.#github.serverUrl, signal),
      this.#answers(this.#github.apiUrl, signal),
      app === undefined ? undefined : this.#appState(app),
    ])
    return {
      model: model.ok ? { ok: true } : { ok: false, message: model.message },
      ...{ git, github, ...(githubApp !== undefined && { githubApp }) },
    }
  }

  /** Returns a session's token failure, else whether GitHub accepts the App's signature now. */
  async #appState(app: GitHubApp): Promise<UpstreamState> {
    const problems = [...this.#credentials].flatMap(({ problem }) => problem ?? [])
    if (problems.length > 0) return { ok: false, message: [...new Set(problems)].join(' ') }
    try {
      await checkSignature(app, this.#github, READY_MS)
      return { ok: true }
    } catch (error) {
      return { ok: false, message: toMessage(error) }
    }
  }

  async #answers(address: string, signal: AbortSignal): Promise<UpstreamState> {
    try {
      const url = new URL(address)
      const dispatcher = await this.#github.connections(url)
      const { body } = await request(url, { method: 'HEAD', dispatcher, signal })
      await body.dump()
      return { ok: true }
    } catch (error) {
      return { ok: false, message: `${address} does not answer: ${toMessage(error)}` }
    }
  }

  async close(): Promise<void> {
    // This includes sessions that are only being opened.
    await Promise.all([...this.#credentials].map((credential) => credential.close()))
    await Promise.all([this.#model.close(), this.#github.close()])
  }
}

function lineOf(session: string, decision: EgressDecision): AuditLine {
  const { verdict, host, port, method, path, reason, rule } = decision
  return {
    ...{ session, door: 'egress', method, path: `${host}:${port}${path ?? ''}`, rule, reason },
    verdict: verdict === 'deny' ? 'deny' : 'allow',
  }
}

/** Variables that name a cloud's region or project. None is a credential. */
const CLOUD_PLACE =
  /^(?:ANTHROPIC_VERTEX_PROJECT_ID|GOOGLE_CLOUD_PROJECT|GCLOUD_PROJECT|CLOUD_ML_REGION|VERTEX_REGION_\w+|AWS_REGION|AWS_DEFAULT_REGION)$/

/** Returns the agent's variables of a route: a placeholder of the credential's kind, or the cloud's place. */
export function agentEnvironment(kind: ModelRouteKind, env: RouteEnvironment['env']): Record<string, string> {
  if (kind === 'oauth') return { CLAUDE_CODE_OAUTH_TOKEN: PLACEHOLDER_KEY }
  if (kind !== 'vertex' && kind !== 'bedrock') return { ANTHROPIC_API_KEY: PLACEHOLDER_KEY }
  const shown: Record<string, string> = { [`CLAUDE_CODE_USE_${kind.toUpperCase()}`]: '1' }
  for (const [name, value] of Object.entries(env)) if (value && CLOUD_PLACE.test(name)) shown[name] = value
  return shown
}
