import type { Policy } from '../policy/read/schema.ts'
import { openEgressDoor } from './egress-door.ts'
import { ModelDoor } from './model-door.ts'
import { openUpstream } from './model-upstream.ts'
import type { RouteEnvironment } from './own-broker.ts'
import { OWN_AGENT, Session } from './session.ts'
import { SessionServer } from './session-server.ts'
import { digestOf, newToken } from './token.ts'

export interface ContainerBrokerOptions extends RouteEnvironment {
  policy: Policy
  port: number
  /** The folder of the certificates that programs must trust. */
  certificates: string
  /** Called for a request to another host that the policy refused. Model requests are not reported. */
  onDenied(what: { host: string; port: number; method: string; reason: string }): void
}

/**
 * Opens the broker of one container in which only this process's user has a way out. It leads to the model, if there is a
 * credential, and to the hosts of the policy. Everything in the container is one session, so there is no token.
 *
 * @throws when the port is taken or the certificates cannot be written.
 */
export async function openContainerBroker(
  options: ContainerBrokerOptions,
): Promise<{ close(): Promise<void> }> {
  const { policy, port, certificates, route, env, onDenied } = options
  const egress = await openEgressDoor({
    ...{ policy, env },
    onDecision({ verdict, host, port, method, reason }) {
      if (verdict === 'deny') onDenied({ host, port, method, reason })
    },
  })
  egress.writeCertificates(certificates)
  const upstream = route.kind === 'none' ? undefined : openUpstream({ route, env })
  const session = new Session({
    ...{ id: 'container', rights: OWN_AGENT, digest: digestOf(newToken()), needsToken: false },
  })
  const doors = upstream === undefined ? [] : [new ModelDoor(upstream)]
  const server = new SessionServer({ session, doors, egress })
  await server.listenOnLoopback(port)
  return {
    async close() {
      await server.close()
      await upstream?.close()
    },
  }
}
