import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { hasErrno } from '../errno.ts'
import { toMessage } from '../errors.ts'
import { isLiving, processes, processOf, readProc, signalProcess } from '../process-table.ts'
import type { Engine } from './engine.ts'
import { recoverGuard } from './mount-guard.ts'
import { fetchCommits } from './mounted.ts'
import { type FoundFolder, findRunFolders, removeRunFolder, workspaceIn } from './run-folder.ts'

export interface SweepRequest {
  /** The run to remove, even when its launcher lives. */
  run: string | undefined
  /** Age in milliseconds from which on a run is removed even when its launcher lives. */
  olderThanMs: number | undefined
  /** The folder that holds the launches' folders. */
  parent: string
  /** PATH for finding git. */
  path: string | undefined
}

interface Swept {
  kind: 'container' | 'network' | 'folder' | 'commits' | 'aside' | 'kept'
  /** The name of a container or network, a path (`aside` for one that was renamed), a ref, or why something was kept. */
  name: string
}

/** Removes objects with our label whose launcher is dead, that are too old, or that were named, and nothing else. */
export async function sweep(engine: Engine | undefined, request: SweepRequest): Promise<Swept[]> {
  const swept: Swept[] = []
  // A network is in use until its container is removed.
  for (const kind of ['container', 'network'] as const) {
    for (const found of (await engine?.labelled(kind)) ?? []) {
      if (engine === undefined || !isLeft(found, request)) continue
      await engine.remove(found)
      swept.push({ kind, name: found.name })
    }
  }
  for (const found of await findRunFolders(request.parent)) {
    if (!isLeft(found, request)) continue
    endGitIn(found.path)
    try {
      for (const name of await guardLeft(found)) swept.push({ kind: 'aside', name })
      for (const name of await fetchLeft(found, request.path)) swept.push({ kind: 'commits', name })
    } catch (error) {
      // A named run is removed without this check.
      if (request.run === undefined) {
        swept.push({
          kind: 'kept',
          name: `${found.path}: what it worked on cannot be put in order: ${toMessage(error)}`,
        })
        continue
      }
    }
    await removeRunFolder(found.path)
    swept.push({ kind: 'folder', name: found.path })
  }
  return swept
}

/** Finishes the guard of a folder that a killed launch had mounted. Only this user's record counts. */
async function guardLeft({ path, mounted }: FoundFolder): Promise<string[]> {
  if (mounted === undefined || !existsSync(mounted) || !isOwn(path)) return []
  return await recoverGuard(mounted, path)
}

/**
 * Fetches the commits of a killed launch as refs of the checkout. Another user's folder may not decide which checkout is
 * written.
 */
async function fetchLeft(
  { path, run, checkout }: FoundFolder,
  programs: string | undefined,
): Promise<string[]> {
  if (checkout === undefined || !existsSync(checkout) || !isOwn(path)) return []
  const target = workspaceIn(path)
  // Without an index the clone is unfinished, and no agent was in it.
  if (!existsSync(join(target, '.git', 'index'))) return []
  return await fetchCommits({ source: checkout, target, path: programs }, run)
}

/** Ends a git of the killed launcher, known by its environment, that still works in the folder. */
function endGitIn(folder: string): void {
  for (const { pid } of processes()) {
    const isOfFolder = readProc(`${pid}/cmdline`)?.includes(`\0${folder}/`) === true
    if (isOfFolder && readProc(`${pid}/environ`)?.includes('GIT_CONFIG_GLOBAL=/dev/null') === true)
      signalProcess(pid, 'SIGKILL')
  }
}

const isOwn = (path: string): boolean => statSync(path).uid === process.getuid?.()

function isLeft(
  { run, startedAt, ...launcher }: Pick<FoundFolder, 'run' | 'pid' | 'started' | 'startedAt'>,
  { run: wanted, olderThanMs }: SweepRequest,
): boolean {
  if (wanted !== undefined) return run === wanted
  if (olderThanMs !== undefined && Date.now() - startedAt > olderThanMs) return true
  return !isAlive(launcher)
}

/**
 * Whether the process lives, of whichever user. Another one that has got its pid does not count, as after a reboot, nor
 * does a dead one that nobody has waited for, as in a container whose first process does not.
 */
function isAlive({ pid, started }: Pick<FoundFolder, 'pid' | 'started'>): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    // Without a /proc, or where it shows this user's processes alone, more is not known.
    if (readProc(`${pid}/stat`) === undefined) return true
    return started === undefined ? processOf(pid) !== undefined : isLiving({ pid, started })
  } catch (error) {
    return hasErrno(error, 'EPERM')
  }
}
