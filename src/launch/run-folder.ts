import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { RunnerError, toMessage } from '../errors.ts'
import type { Launcher } from './arguments.ts'

const PREFIX = 'agui-launch-'
/** The name of a folder whose launcher was killed while making it. */
const DRAFT = /^agui-launch-([a-z0-9-]+)\.(\d+)$/
const Mark = z.object({
  run: z.string(),
  pid: z.number(),
  startedAt: z.number(),
  /** The checkout of which the workspace is a clone. */
  checkout: z.string().optional(),
})

/** The folder of one launch: its sockets, and its workspace if that is a copy. */
export interface RunFolder {
  path: string
  gateway: string
  agent: string
  workspace: string
}

/**
 * Makes the folder together with its mark: until both are there its name contains its launcher.
 *
 * @throws {RunnerError} `sandbox_failed` when the name is taken or the disk is full.
 */
export async function makeRunFolder(
  parent: string,
  run: string,
  launcher: Launcher,
  checkout?: string,
): Promise<RunFolder> {
  const path = join(parent, `${PREFIX}${run}`)
  const draft = `${path}.${launcher.pid}`
  try {
    await mkdir(draft, { mode: 0o700 })
    const mark = { run, pid: launcher.pid, startedAt: launcher.startedAt.getTime(), checkout }
    await writeFile(join(draft, 'launch.json'), JSON.stringify(mark), { mode: 0o600 })
    // The inner user must pass through to the socket and can read nothing else.
    for (const name of ['g', 'a']) await mkdir(join(draft, name), { mode: 0o711 })
    await rename(draft, path)
  } catch (error) {
    await removeRunFolder(draft)
    const why = isTaken(error)
      ? 'a run of that name is under way, or was killed (agui-runner sweep)'
      : toMessage(error)
    throw new RunnerError('sandbox_failed', `${path} cannot be made: ${why}.`, { cause: error })
  }
  return { path, gateway: join(path, 'g'), agent: join(path, 'a'), workspace: workspaceIn(path) }
}

/** Returns the workspace in a run's folder, for a workspace that is a copy. */
export const workspaceIn = (folder: string): string => join(folder, 'w')

export async function removeRunFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true })
}

export interface FoundFolder {
  path: string
  run: string
  pid: number
  startedAt: number
  checkout?: string | undefined
}

/** Finds the folders of this user's launches, killed ones included. A folder without a mark is not ours. */
export async function findRunFolders(parent: string): Promise<FoundFolder[]> {
  const names = (await readdir(parent)).filter((name) => name.startsWith(PREFIX))
  const found = names.map(async (name): Promise<FoundFolder[]> => {
    const path = join(parent, name)
    try {
      return [{ path, ...Mark.parse(JSON.parse(await readFile(join(path, 'launch.json'), 'utf8'))) }]
    } catch {
      const [, run, pid] = DRAFT.exec(name) ?? []
      return run === undefined ? [] : [{ path, run, pid: Number(pid), startedAt: Number.NaN }]
    }
  })
  return (await Promise.all(found)).flat()
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOTEMPTY' || error.code === 'EEXIST')
}
