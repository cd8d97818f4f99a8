import type { ModelRoute } from '../model-route/route.ts'
import { ModelDoor } from './model-door.ts'
import { openUpstream } from './model-upstream.ts'
import { OWN_AGENT, Session } from './session.ts'
import { SessionServer } from './session-server.ts'
import { digestOf, newToken } from './token.ts'

export interface OwnBroker {
  /** Where it listens: loopback, a free port. */
  readonly url: string
  readonly token: string
  /** Loads what the first request needs. */
  warm(): Promise<void>
  /** Idempotent; ends what runs through it. */
  close(): Promise<void>
}

export interface RouteEnvironment {
  route: ModelRoute
  env: Readonly<Record<string, string | undefined>>
}

/** The broker inside the runner's own process: one session, the agent's, and the model's door alone. */
export async function openOwnBroker(options: RouteEnvironment): Promise<OwnBroker> {
  const token = newToken()
  const upstream = openUpstream(options)
  const session = new Session({ id: 'agent', rights: OWN_AGENT, digest: digestOf(token), needsToken: true })
  const server = new SessionServer({ session, doors: [new ModelDoor(upstream)] })
  return {
    url: await server.listenOnLoopback(),
    token,
    async warm() {
      await upstream.connections()
    },
    async close() {
      await server.close()
      await upstream.close()
    },
  }
}
