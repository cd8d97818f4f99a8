import { ModelDoor } from '../broker/model-door.ts'
import { openUpstream } from '../broker/model-upstream.ts'
import { OWN_AGENT, Session } from '../broker/session.ts'
import { SessionServer } from '../broker/session-server.ts'
import { digestOf } from '../broker/token.ts'
import type { Env } from '../config.ts'
import { RunnerError } from '../errors.ts'
import { PLACEHOLDER_KEY } from '../model-route/credentials.ts'
import { detectRoute } from '../model-route/route.ts'

const DETECT_MS = 10_000

export interface LaunchDoor {
  /** What the agent has in the credential's place, of the credential's kind; no secret: the socket is the proof. */
  environment: Record<string, string>
  open(socket: string): Promise<{ close(): Promise<void> }>
}

/** @throws {RunnerError} `no_model_route`; `config_invalid` for a route that the broker does not carry yet. */
export async function findLaunchDoor(env: Env, wrappersDirectory: string): Promise<LaunchDoor> {
  const route = await detectRoute({ env, wrappersDirectory, signal: AbortSignal.timeout(DETECT_MS) })
  if (route.kind === 'none') throw new RunnerError('no_model_route', `${route.reason}.`)
  if (route.kind === 'vertex' || route.kind === 'bedrock')
    throw new RunnerError(
      'config_invalid',
      `A launch does not carry the route ${route.kind} yet; use --here.`,
    )
  const name = route.kind === 'oauth' ? 'CLAUDE_CODE_OAUTH_TOKEN' : 'ANTHROPIC_API_KEY'
  return {
    environment: { [name]: PLACEHOLDER_KEY },
    async open(socket) {
      const upstream = openUpstream({ route, env })
      const rights = OWN_AGENT
      const session = new Session({
        id: 'launch',
        rights,
        digest: digestOf(PLACEHOLDER_KEY),
        needsToken: false,
      })
      const server = new SessionServer({ session, doors: [new ModelDoor(upstream)] })
      await server.listenOnSocket(socket)
      return {
        async close() {
          await server.close()
          await upstream.close()
        },
      }
    },
  }
}
