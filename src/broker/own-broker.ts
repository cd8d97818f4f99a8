import type { ModelRoute } from '../model-route/route.ts'
import { ModelDoor } from './model-door.ts'
import { openUpstream } from './model-upstream.ts'
import { OWN_AGENT, Session } from './session.ts'
import { SessionServer } from './session-server.ts'
import { digestOf, newToken } from './token.ts'

export interface OwnBroker {
  /** Address on loopback, at a free port. */
  readonly url: string
  readonly token: string
  /** Loads the modules of the first request. */
  warm(): Promise<void>
  /** Ends every request in progress. Safe to call twice. */
  close(): Promise<void>
}

export interface RouteEnvironment {
  route: ModelRoute
  env: Readonly<Record<string, string | undefined>>
}

/** Opens the broker inside the runner's own process: one session for the agent, with only the model's door. */
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
