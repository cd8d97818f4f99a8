import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { RunnerError } from '../errors.ts'
import type { Launcher } from './arguments.ts'

const PREFIX = 'agui-launch-'
const Mark = z.object({ run: z.string(), pid: z.number(), startedAt: z.number() })

/** What one launch has on this machine: its sockets, and the workspace when it is a copy. */
export interface RunFolder {
  path: string
  gateway: string
  agent: string
  workspace: string
}

/** @throws {RunnerError} `sandbox_failed` when the name is taken. */
export async function makeRunFolder(parent: string, run: string, launcher: Launcher): Promise<RunFolder> {
  const path = join(parent, `${PREFIX}${run}`)
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    if (!isTaken(error)) throw error
    throw new RunnerError(
      'sandbox_failed',
      `${path} is there: a run of that name is under way, or was killed (agui-runner sweep).`,
    )
  }
  const mark = { run, pid: launcher.pid, startedAt: launcher.startedAt.getTime() }
  await writeFile(join(path, 'launch.json'), JSON.stringify(mark), { mode: 0o600 })
  const [gateway, agent] = ['g', 'a'].map((name) => join(path, name)) as [string, string]
  // Whoever is inside has to pass through to the socket, and reads nothing else.
  for (const folder of [gateway, agent]) await mkdir(folder, { mode: 0o711 })
  return { path, gateway, agent, workspace: join(path, 'w') }
}

export async function removeRunFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true })
}

export interface FoundFolder {
  path: string
  run: string
  pid: number
  startedAt: number
}

/** Of this user's launches, also killed ones. A folder without a mark is somebody else's, or just being made. */
export async function findRunFolders(parent: string): Promise<FoundFolder[]> {
  const names = (await readdir(parent)).filter((name) => name.startsWith(PREFIX))
  const found = names.map(async (name): Promise<FoundFolder[]> => {
    const path = join(parent, name)
    try {
      return [{ path, ...Mark.parse(JSON.parse(await readFile(join(path, 'launch.json'), 'utf8'))) }]
    } catch {
      return []
    }
  })
  return (await Promise.all(found)).flat()
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EEXIST'
}
