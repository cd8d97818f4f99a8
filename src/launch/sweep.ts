import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { toMessage } from '../errors.ts'
import type { Engine } from './engine.ts'
import { fetchCommits } from './mounted.ts'
import { type FoundFolder, findRunFolders, removeRunFolder, workspaceIn } from './run-folder.ts'

export interface SweepRequest {
  /** That run, whatever its launcher does. */
  run: string | undefined
  /** Milliseconds; what is older goes also when its launcher lives. */
  olderThanMs: number | undefined
  /** Where launches have their folders. */
  parent: string
  /** Where git is. */
  path: string | undefined
}

interface Swept {
  kind: 'container' | 'network' | 'folder' | 'commits' | 'kept'
  /** Of a container or network, a path, a ref; why it was kept. */
  name: string
}

/** Removes what carries our label and whose launcher is dead, or is too old, or was named; and nothing else. */
export async function sweep(engine: Engine | undefined, request: SweepRequest): Promise<Swept[]> {
  const swept: Swept[] = []
  // A network is in use as long as its container is there.
  for (const kind of ['container', 'network'] as const) {
    for (const found of (await engine?.labelled(kind)) ?? []) {
      if (engine === undefined || !isLeft(found, request)) continue
      await engine.remove(found)
      swept.push({ kind, name: found.name })
    }
  }
  for (const found of await findRunFolders(request.parent)) {
    if (!isLeft(found, request)) continue
    try {
      for (const name of await fetchLeft(found, request.path)) swept.push({ kind: 'commits', name })
    } catch (error) {
      // Who names it knows.
      if (request.run === undefined) {
        swept.push({
          kind: 'kept',
          name: `${found.path}: its commits cannot be fetched: ${toMessage(error)}`,
        })
        continue
      }
    }
    await removeRunFolder(found.path)
    swept.push({ kind: 'folder', name: found.path })
  }
  return swept
}

/**
 * What the agent had committed when its launcher was killed, as refs of the checkout. A folder of another user's says
 * nothing of which checkout may be written.
 */
async function fetchLeft(
  { path, run, checkout }: FoundFolder,
  programs: string | undefined,
): Promise<string[]> {
  if (checkout === undefined || !existsSync(checkout) || statSync(path).uid !== process.getuid?.()) return []
  const target = workspaceIn(path)
  // Before that a clone is not whole, and no agent was in it.
  if (!existsSync(join(target, '.git', 'index'))) return []
  return await fetchCommits({ source: checkout, target, path: programs }, run)
}

function isLeft(
  { run, pid, startedAt }: { run: string; pid: number; startedAt: number },
  { run: wanted, olderThanMs }: SweepRequest,
): boolean {
  if (wanted !== undefined) return run === wanted
  if (olderThanMs !== undefined && Date.now() - startedAt > olderThanMs) return true
  return !isAlive(pid)
}

/** A process of another user's lives too. */
function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
