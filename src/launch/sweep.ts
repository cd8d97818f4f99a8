import type { Engine } from './engine.ts'
import { findRunFolders, removeRunFolder } from './run-folder.ts'

export interface SweepRequest {
  /** That run, whatever its launcher does. */
  run: string | undefined
  /** Milliseconds; what is older goes also when its launcher lives. */
  olderThanMs: number | undefined
  /** Where launches have their folders. */
  parent: string
}

interface Swept {
  kind: 'container' | 'network' | 'folder'
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
    await removeRunFolder(found.path)
    swept.push({ kind: 'folder', name: found.path })
  }
  return swept
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
