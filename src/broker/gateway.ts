import { randomBytes } from 'node:crypto'
import { chmod } from 'node:fs/promises'
import { RunnerError, toMessage } from '../errors.ts'
import { openAudit } from './audit.ts'
import { createControl } from './control.ts'
import { claimPlaces, releasePlaces } from './gateway-folder.ts'
import { Sessions } from './sessions.ts'
import { digestOf } from './token.ts'
import { agentEnvironment, UpstreamDoors, type UpstreamsOptions } from './upstream-doors.ts'

const SECRET_BYTES = 32

export interface GatewayOptions extends UpstreamsOptions {
  /** Path of the control socket. The sessions' folders are made beside it. */
  control: string
  /** Path of the new file for the launcher's secret, readable by this user alone. It must not exist, unless a killed gateway left it. */
  secretFile: string
  auditFile: string | undefined
  onAuditFailure(error: Error): void
}

/** Opens the broker by itself: a process that holds the credentials, and sessions for agents without any. */
export async function openGateway(options: GatewayOptions): Promise<{ close(): Promise<void> }> {
  const { control, secretFile, auditFile, env, route } = options
  const secret = randomBytes(SECRET_BYTES).toString('base64url')
  const doors = new UpstreamDoors(options)
  const audit = auditFile === undefined ? undefined : await openAudit(auditFile, options.onAuditFailure)
  const folder = await claimPlaces({ control, secretFile, secret }).catch(async (error: unknown) => {
    await Promise.all([doors.close(), audit?.close()])
    throw error
  })
  const sessions = new Sessions({ folder, doors, audit: (line) => audit?.write(line) })
  const app = createControl({
    ...{ sessions, doors, digest: digestOf(secret) },
    agentEnvironment: agentEnvironment(route.kind, env),
  })
  const close = async (): Promise<void> => {
    await app.close()
    await sessions.close()
    await Promise.all([doors.close(), audit?.close()])
    await releasePlaces(folder, secretFile)
  }
  try {
    await app.listen({ path: control })
    await chmod(control, 0o600)
  } catch (error) {
    await close()
    throw new RunnerError('config_invalid', `--control ${control}: ${toMessage(error)}`, { cause: error })
  }
  return { close }
}
