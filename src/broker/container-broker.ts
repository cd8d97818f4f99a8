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
  /** Where programs find what they have to trust. */
  certificates: string
  /** A request to another host that the policy refused; what was asked of the model is not among them. */
  onDenied(what: { host: string; port: number; method: string; reason: string }): void
}

/**
 * The broker for everything in one container, whose way out is locked for every user but this process's: the model, if there
 * is a credential, and the hosts of the policy. Whoever is in there is the session, so there is no token.
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
