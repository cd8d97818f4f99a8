// The way to every other host for an agent without a network. The policy decides by host, port and request; the dialling
// program cannot be seen here.

import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { rootCertificates } from 'node:tls'
import type { RouteEnv } from '../model-route/route-kind.ts'
import { isInference } from '../policy/decide/inference.ts'
import type { Policy } from '../policy/read/schema.ts'
import { proxySettings } from '../proxy-settings.ts'
import type { EgressDecision } from '../sandbox/egress/denial.ts'
import { EgressProxy } from '../sandbox/egress/egress-proxy.ts'
import { writeCertificates } from '../sandbox/egress/inside-certificates.ts'
import { createAuthority } from '../tunnel/authority.ts'
import { parseTarget } from '../tunnel/connect.ts'
import { Refusal } from './refusal.ts'

/** The way out of one session. */
export interface EgressDoor {
  /** @throws {Refusal} while nothing has been answered. */
  connect(request: IncomingMessage, socket: Socket, head: Buffer): void
  plain(request: IncomingMessage, response: ServerResponse): void
  /** Writes the certificates that programs inside must trust beside the session's socket. */
  writeCertificates(folder: string): void
  /** Ends every connection. */
  close(): void
}

/** A sandbox's proxy passes it on to OpenShell's gateway before it looks at a rule; here that would be a way past every limit. */
const NO_INFERENCE =
  'inference.local is a name of OpenShell’s: here the model is asked by ANTHROPIC_BASE_URL.'

export interface EgressDoorOptions {
  policy: Policy
  env: RouteEnv
  onDecision(decision: EgressDecision): void
}

/** Opens the door. Inspected connections use a certificate authority of this session's own. */
export async function openEgressDoor({ policy, env, onDecision }: EgressDoorOptions): Promise<EgressDoor> {
  const authority = createAuthority('agui-runner, this session')
  const extraFile = env['NODE_EXTRA_CA_CERTS'] || undefined
  const extra = extraFile === undefined ? undefined : await readFile(extraFile, 'utf8').catch(() => undefined)
  const proxy = new EgressProxy({
    ...{ policy, authority, onDecision, holdersOf: undefined, model: undefined },
    route: proxySettings(env),
    upstreamAuthorities: extra === undefined ? undefined : [...rootCertificates, extra].join('\n'),
  })
  return {
    connect(request, socket, head) {
      const target = parseTarget(request.url ?? '')
      if (target !== undefined && isInference(target)) throw new Refusal(NO_INFERENCE)
      proxy.connect(request, socket, head)
    },
    plain: (request, response) => proxy.plain(request, response),
    writeCertificates: (folder) => writeCertificates(folder, authority.pem, extraFile),
    close: () => proxy.close(),
  }
}
