import { randomBytes } from 'node:crypto'
import { chmod, mkdir, open, rm, rmdir } from 'node:fs/promises'
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
  const folder = join(dirname(control), 's')
  const doors = new UpstreamDoors(options)
  try {
    await claim({ control, folder, secretFile, secret })
  } catch (error) {
    await doors.close()
    throw error
  }
  const audit = auditFile === undefined ? undefined : openAudit(auditFile, options.onAuditFailure)
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
    await app.listen({ path: control })
    await chmod(control, 0o600)
  } catch (error) {
    await close()
    throw new RunnerError('config_invalid', `--control ${control}: ${toMessage(error)}`, { cause: error })
  }
  return { close }
}

interface Claim {
  control: string
  folder: string
  secretFile: string
  secret: string
}

/** Both, or neither. */
async function claim({ control, folder, secretFile, secret }: Claim): Promise<void> {
  await made(`--control ${control}`, () => mkdir(folder, { mode: 0o700 }))
  try {
    await made(`--secret-file ${secretFile}`, () => writeSecret(secretFile, secret))
  } catch (error) {
    await rmdir(folder)
    throw error
  }
}

async function writeSecret(file: string, secret: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600)
  await handle.writeFile(secret)
  await handle.close()
}

/** What is there already is another gateway's: it is neither used nor removed. */
async function made(flag: string, make: () => Promise<unknown>): Promise<void> {
  try {
    await make()
  } catch (error) {
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EEXIST'
    const remedy = isTaken
      ? '. A gateway runs there, or was killed: take another folder, or remove what it left'
      : ''
    throw new RunnerError('config_invalid', `${flag}: ${toMessage(error)}${remedy}.`, { cause: error })
  }
}
