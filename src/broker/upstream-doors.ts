import { join } from 'node:path'
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
  /** Decides about every other host; undefined: none is reached. */
  policy: Policy | undefined
  /** Whose tokens GitHub is shown, one a session; undefined: GITHUB_TOKEN's. */
  app: GitHubApp | undefined
  /** Told what is wrong with a token while a session goes on. */
  onTokenProblem(message: string): void
  /** For tests. */
  clock?: Clock
}

export interface SessionPlace {
  session: Session
  /** Of a private one the other hosts are the broker's matter. */
  mode: 'private' | 'public'
  /** Of the session's own: its socket and certificates are there. */
  folder: string
  /** Whoever reaches the socket is the session; on loopback its token is asked for. */
  listen: 'socket' | 'loopback'
  audit: ((line: AuditLine) => void) | undefined
}

/** By what it is reached. */
export interface OpenSession {
  socket?: string
  url?: string
  close(): Promise<void>
}

/** Any answer counts as life; `message` says why there is none. */
export interface UpstreamState {
  ok: boolean
  message?: string
}

/** In its folder. */
export const SESSION_SOCKET = 'gateway.sock'
const READY_MS = 15_000

/** What an agent outside of this process may reach, with the credentials of this environment behind it. */
export class UpstreamDoors {
  readonly #options: UpstreamsOptions
  readonly #model: ReturnType<typeof openUpstream>
  readonly #github: GitHubUpstream
  readonly #modelDoor: Door
  /** Of the sessions that are open. */
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
    return { server, socket }
  }

  /** Asks each upstream once, without a credential of the session's. */
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

  /** What kept a session from its next token; else whether GitHub takes the App's signature now. */
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
    // Also of sessions that are only being opened.
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

/** Where and as what the clouds are asked; none of it is a credential. */
const CLOUD_PLACE =
  /^(?:ANTHROPIC_VERTEX_PROJECT_ID|GOOGLE_CLOUD_PROJECT|GCLOUD_PROJECT|CLOUD_ML_REGION|VERTEX_REGION_\w+|AWS_REGION|AWS_DEFAULT_REGION)$/

/** What an agent's environment has of the route: a placeholder of the credential's kind, or the cloud that is asked. */
export function agentEnvironment(kind: ModelRouteKind, env: RouteEnvironment['env']): Record<string, string> {
  if (kind === 'oauth') return { CLAUDE_CODE_OAUTH_TOKEN: PLACEHOLDER_KEY }
  if (kind !== 'vertex' && kind !== 'bedrock') return { ANTHROPIC_API_KEY: PLACEHOLDER_KEY }
  const shown: Record<string, string> = { [`CLAUDE_CODE_USE_${kind.toUpperCase()}`]: '1' }
  for (const [name, value] of Object.entries(env)) if (value && CLOUD_PLACE.test(name)) shown[name] = value
  return shown
}
