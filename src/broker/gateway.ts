import { randomBytes } from 'node:crypto'
import { chmod, mkdir, open, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { RunnerError, toMessage } from '../errors.ts'
import { openAudit } from './audit.ts'
import { createControl } from './control.ts'
import { Sessions } from './sessions.ts'
import { digestOf } from './token.ts'
import { agentEnvironment, UpstreamDoors, type UpstreamsOptions } from './upstream-doors.ts'

const SECRET_BYTES = 32

export interface GatewayOptions extends UpstreamsOptions {
  /** Path of the control socket. The sessions' folders are made beside it. */
  control: string
  /** Path of the new file for the launcher's secret, readable by this user alone. It must not exist. */
  secretFile: string
  auditFile: string | undefined
  onAuditFailure(error: Error): void
}

/** Opens the broker by itself: a process that holds the credentials, and sessions for agents without any. */
export async function openGateway(options: GatewayOptions): Promise<{ close(): Promise<void> }> {
  const { control, secretFile, auditFile, env, route } = options
  const secret = randomBytes(SECRET_BYTES).toString('base64url')
  await writeSecret(secretFile, secret)
  const folder = join(dirname(control), 's')
  const audit = auditFile === undefined ? undefined : openAudit(auditFile, options.onAuditFailure)
  const doors = new UpstreamDoors(options)
  const sessions = new Sessions({ folder, doors, audit: (line) => audit?.write(line) })
  const app = createControl({
    ...{ sessions, doors, digest: digestOf(secret) },
    agentEnvironment: agentEnvironment(route.kind, env),
  })
  const close = async (): Promise<void> => {
    await app.close()
    await sessions.close()
    await Promise.all([doors.close(), audit?.close()])
    await Promise.all([rm(secretFile, { force: true }), rm(folder, { recursive: true, force: true })])
  }
  try {
    await mkdir(folder, { mode: 0o700 })
    await app.listen({ path: control })
    await chmod(control, 0o600)
  } catch (error) {
    await close()
    throw new RunnerError('config_invalid', `--control ${control}: ${toMessage(error)}`, { cause: error })
  }
  return { close }
}

async function writeSecret(file: string, secret: string): Promise<void> {
  try {
    const handle = await open(file, 'wx', 0o600)
    await handle.writeFile(secret)
    await handle.close()
  } catch (error) {
    throw new RunnerError('config_invalid', `--secret-file ${file}: ${toMessage(error)}`, { cause: error })
  }
}
