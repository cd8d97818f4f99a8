import { join } from 'node:path'
import { request } from 'undici'
import { toMessage } from '../errors.ts'
import { PLACEHOLDER_KEY } from '../model-route/credentials.ts'
import type { ModelRouteKind } from '../model-route/route-kind.ts'
import type { Policy } from '../policy/read/schema.ts'
import type { EgressDecision } from '../sandbox/egress/denial.ts'
import type { AuditLine } from './audit.ts'
import type { Door } from './door.ts'
import type { EgressDoor } from './egress-door.ts'
import { GitDoor } from './git-door.ts'
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
  readonly #doors: readonly Door[]

  /** @throws {RunnerError} `config_invalid`. */
  constructor(options: UpstreamsOptions) {
    this.#options = options
    this.#model = openUpstream(options)
    this.#github = openGitHub(options.env)
    this.#doors = [new GitDoor(this.#github), new GitHubDoor(this.#github), new ModelDoor(this.#model)]
  }

  async open({ session, mode, folder, listen, audit }: SessionPlace): Promise<OpenSession> {
    const { policy, env } = this.#options
    const onDecision = (decision: EgressDecision): void => audit?.(lineOf(session.id, decision))
    let egress: EgressDoor | undefined
    if (mode === 'private' && policy !== undefined) {
      const { openEgressDoor } = await import('./egress-door.ts')
      egress = await openEgressDoor({ policy, env, onDecision })
      egress.writeCertificates(folder)
    }
    const server = new SessionServer({ session, doors: this.#doors, audit, egress })
    const close = (): Promise<void> => server.close()
    if (listen === 'loopback') return { url: await server.listenOnLoopback(), close }
    const socket = join(folder, SESSION_SOCKET)
    await server.listenOnSocket(socket)
    return { socket, close }
  }

  /** Asks each upstream once, without a credential of the session's. */
  async ready(): Promise<Record<string, UpstreamState>> {
    const { route } = this.#options
    const { probeRoute } = await import('../model-route/probe.ts')
    const signal = AbortSignal.timeout(READY_MS)
    const [model, git, github] = await Promise.all([
      probeRoute(route, { timeoutMs: READY_MS, signal: new AbortController().signal }),
      this.#answers(this.#github.serverUrl, signal),
      this.#answers(this.#github.apiUrl, signal),
    ])
    return { model: model.ok ? { ok: true } : { ok: false, message: model.message }, git, github }
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
