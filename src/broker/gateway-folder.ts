// The places of one gateway: the folder of its sessions, beside the control socket, and the file of the launcher's secret.
import { mkdir, open, readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { basename, dirname, join, resolve } from 'node:path'
import { z } from 'zod'
import { hasErrno } from '../errno.ts'
import { RunnerError, toMessage } from '../errors.ts'
import { isLiving, processOf } from '../process-table.ts'

/** Whose folder it is, and what else that process made. */
const Owner = z.object({ pid: z.number(), started: z.string(), control: z.string(), secretFile: z.string() })
type Owner = z.infer<typeof Owner>

/** No session has such a name. */
const OWNER_FILE = 'owner.json'

export interface Claim {
  control: string
  secretFile: string
  secret: string
}

/**
 * Takes the places of a gateway, all or none. Those of a gateway that was killed are removed first.
 *
 * @returns the folder of the sessions.
 * @throws {RunnerError} `config_invalid` when another gateway runs there, or something else is in the way.
 */
export async function claimPlaces({ control, secretFile, secret }: Claim): Promise<string> {
  const folder = join(dirname(control), 's')
  const { pid } = process
  const owner: Owner = {
    ...{ pid, started: processOf(pid)?.started ?? '' },
    ...{ control: resolve(control), secretFile: resolve(secretFile) },
  }
  await made(`--control ${control}`, async () => {
    await removeDrafts(folder)
    await takeFolder(folder, owner)
  })
  try {
    await made(`--secret-file ${secretFile}`, () => writeSecret(secretFile, secret))
  } catch (error) {
    await rm(folder, { recursive: true })
    throw error
  }
  return folder
}

/** Gives the places back. The control socket goes with its server. */
export async function releasePlaces(folder: string, secretFile: string): Promise<void> {
  await Promise.all([rm(secretFile, { force: true }), rm(folder, { recursive: true, force: true })])
}

/** The folder comes into being together with its owner, so that one without an owner is nobody's of ours. */
async function takeFolder(folder: string, owner: Owner): Promise<void> {
  const draft = `${folder}.${owner.pid}`
  await mkdir(draft, { mode: 0o700 })
  try {
    await writeFile(join(draft, OWNER_FILE), JSON.stringify(owner), { mode: 0o600 })
    await rename(draft, folder).catch(async (error: unknown) => {
      if (!hasErrno(error, 'ENOTEMPTY', 'EEXIST') || !(await removeKilled(folder, owner.pid))) throw error
      await rename(draft, folder)
    })
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    throw error
  }
}

/** Removes what a gateway that was killed has left. @returns false when its folder is somebody else's. */
async function removeKilled(folder: string, pid: number): Promise<boolean> {
  if ((await deadOwnerOf(folder)) === undefined) return false
  const old = `${folder}.${pid}-old`
  await rename(folder, old)
  const owner = await deadOwnerOf(old)
  if (owner === undefined) {
    // Another gateway was faster, and this is its folder.
    await rename(old, folder)
    return false
  }
  await Promise.all([rm(owner.control, { force: true }), rm(owner.secretFile, { force: true })])
  await rm(old, { recursive: true, force: true })
  return true
}

/** Returns the owner of a gateway's folder if that process has ended. */
async function deadOwnerOf(folder: string): Promise<Owner | undefined> {
  try {
    const owner = Owner.parse(JSON.parse(await readFile(join(folder, OWNER_FILE), 'utf8')))
    // One in a container of its own has another number here, or none.
    return isLiving(owner) || (await isServed(owner.control)) ? undefined : owner
  } catch {
    // It is no folder of a gateway.
    return undefined
  }
}

function isServed(socket: string): Promise<boolean> {
  return new Promise((answer) => {
    const connection = createConnection(socket, () => {
      connection.destroy()
      answer(true)
    })
    connection.once('error', () => answer(false))
  })
}

/** Removes folders whose process was killed while it made or removed them. */
async function removeDrafts(folder: string): Promise<void> {
  const parent = dirname(folder)
  for (const name of await readdir(parent)) {
    const [, pid] = new RegExp(`^${basename(folder)}\\.(\\d+)(?:-old)?$`).exec(name) ?? []
    if (pid === undefined || processOf(Number(pid)) !== undefined) continue
    const path = join(parent, name)
    if ((await deadOwnerOf(path)) !== undefined) await rm(path, { recursive: true, force: true })
    // It has no owner yet, or is somebody else's.
    else await rmdir(path).catch(() => undefined)
  }
}

async function writeSecret(file: string, secret: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600)
  await handle.writeFile(secret)
  await handle.close()
}

/** What is there already and is not a killed gateway's is neither used nor removed. */
async function made(flag: string, make: () => Promise<unknown>): Promise<void> {
  try {
    await make()
  } catch (error) {
    const remedy = hasErrno(error, 'EEXIST', 'ENOTEMPTY')
      ? '. A gateway runs there, or it is no gateway’s: take another place'
      : ''
    throw new RunnerError('config_invalid', `${flag}: ${toMessage(error)}${remedy}.`, { cause: error })
  }
}
