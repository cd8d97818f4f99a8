import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { hasErrno } from '../errno.ts'
import { RunnerError, toMessage } from '../errors.ts'
import type { Launcher } from './arguments.ts'

const PREFIX = 'agui-launch-'
/** The name of a folder that its process was killed in making or in removing. */
const DRAFT = /^agui-launch-([a-z0-9-]+)\.(\d+)$/
const DRAFT_PID = /\.\d+$/
const Mark = z.object({
  run: z.string(),
  pid: z.number(),
  started: z.string(),
  startedAt: z.number(),
  /** The checkout of which the workspace is a clone. */
  checkout: z.string().optional(),
  /** The folder that is mounted as the workspace. */
  mounted: z.string().optional(),
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
  workspace: Pick<FoundFolder, 'checkout' | 'mounted'> = {},
): Promise<RunFolder> {
  const path = join(parent, `${PREFIX}${run}`)
  const draft = draftOf(path, launcher.pid)
  try {
    await mkdir(draft, { mode: 0o700 })
    const { pid, started, startedAt } = launcher
    const mark = { run, pid, started, startedAt: startedAt.getTime(), ...workspace }
    await writeFile(join(draft, 'launch.json'), JSON.stringify(mark), { mode: 0o600 })
    // The inner user must pass through to the socket and can read nothing else.
    for (const name of ['g', 'a']) await mkdir(join(draft, name), { mode: 0o711 })
    await rename(draft, path)
  } catch (error) {
    await removeAll(draft)
    const why = hasErrno(error, 'ENOTEMPTY', 'EEXIST')
      ? 'a run of that name is under way, or was killed (agui-runner sweep)'
      : toMessage(error)
    throw new RunnerError('sandbox_failed', `${path} cannot be made: ${why}.`, { cause: error })
  }
  return { path, gateway: join(path, 'g'), agent: join(path, 'a'), workspace: workspaceIn(path) }
}

/** Returns the workspace in a run's folder, for a workspace that is a copy. */
export const workspaceIn = (folder: string): string => join(folder, 'w')

/** Removes a run's folder. A process that is killed meanwhile leaves it under a draft's name. */
export async function removeRunFolder(path: string): Promise<void> {
  const draft = draftOf(path.replace(DRAFT_PID, ''), process.pid)
  try {
    await rename(path, draft)
  } catch (error) {
    // Another sweep was faster.
    if (hasErrno(error, 'ENOENT')) return
    throw error
  }
  await removeAll(draft)
}

const draftOf = (path: string, pid: number): string => `${path}.${pid}`

/** Removes a folder in which a git of the killed launcher may still write its last files. */
async function removeAll(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 5 })
}

export interface FoundFolder {
  path: string
  run: string
  pid: number
  /** Start time of the launcher in clock ticks; undefined when it is not known. */
  started: string | undefined
  startedAt: number
  checkout?: string | undefined
  mounted?: string | undefined
}

/** Finds the folders of this user's launches, killed ones included. A folder without a mark is not ours. */
export async function findRunFolders(parent: string): Promise<FoundFolder[]> {
  const names = (await readdir(parent)).filter((name) => name.startsWith(PREFIX))
  const found = names.map(async (name): Promise<FoundFolder[]> => {
    const path = join(parent, name)
    const [, run, pid] = DRAFT.exec(name) ?? []
    if (run !== undefined) return [{ path, run, pid: Number(pid), started: undefined, startedAt: Number.NaN }]
    try {
      return [{ path, ...Mark.parse(JSON.parse(await readFile(join(path, 'launch.json'), 'utf8'))) }]
    } catch {
      return []
    }
  })
  return (await Promise.all(found)).flat()
}
