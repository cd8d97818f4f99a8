import { hasErrno } from '../errno.ts'
import { RunnerError } from '../errors.ts'
import type { FileOwner, Folder } from './folder.ts'

/** Upper bound of nested levels, each of which holds a descriptor open. Neither people nor tools nest as deep. */
const DEPTH_MAX = 256
/** Upper bound of attempts to empty a folder in which new entries appear. */
const ROUNDS_MAX = 5

export interface RemoveTreeOptions {
  signal: AbortSignal
}

/**
 * Removes an entry with its contents; returns false when there is none. Each folder is opened without following links
 * and emptied through its descriptor. When a folder is swapped for a link meanwhile, the link is removed, never its
 * target. (Node's own `rm` works with paths.)
 *
 * @throws {RunnerError} `invalid_input` for a folder that is nested too deep or keeps being filled.
 */
export async function removeTree(
  folder: Folder,
  name: string,
  { signal }: RemoveTreeOptions,
): Promise<boolean> {
  const stats = await folder.lstat(name)
  if (stats === undefined) return false
  await removeEntry(folder, name, { signal, depth: 0 })
  return true
}

/**
 * Gives an entry with its contents to `owner`, inner entries before outer ones. Until the last step only the runner can
 * change the folders on its way.
 */
export async function giveTree(parent: Folder, name: string, owner: FileOwner, depth = 0): Promise<void> {
  if (depth > DEPTH_MAX) {
    throw new RunnerError('invalid_input', `The folder is nested deeper than ${DEPTH_MAX} levels.`)
  }
  const stats = await parent.lstat(name)
  if (stats?.isDirectory() === true) {
    const folder = await parent.openFolder(name)
    await folder.use(async () => {
      for await (const inner of folder.names()) await giveTree(folder, inner, owner, depth + 1)
    })
  }
  if (stats !== undefined) await parent.giveEntry(name, owner)
}

async function removeEntry(
  parent: Folder,
  name: string,
  { signal, depth }: RemoveTreeOptions & { depth: number },
): Promise<void> {
  signal.throwIfAborted()
  if (depth > DEPTH_MAX) {
    throw new RunnerError('invalid_input', `The folder is nested deeper than ${DEPTH_MAX} levels.`)
  }
  let folder: Folder
  try {
    folder = await parent.openFolder(name)
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return
    if (!hasErrno(error, 'ENOTDIR', 'ELOOP')) throw error
    await gone(parent.unlink(name)).catch(async (changed: unknown) => {
      // The entry has become a folder again.
      if (!hasErrno(changed, 'EISDIR')) throw changed
      await removeEntry(parent, name, { signal, depth: depth + 1 })
    })
    return
  }
  await folder.use(async () => {
    await folder.makeWritable()
    for (let round = 1; ; round++) {
      for await (const inner of folder.names()) {
        await removeEntry(folder, inner, { signal, depth: depth + 1 })
      }
      if (await isRemoved(parent, name)) return
      if (round === ROUNDS_MAX) {
        throw new RunnerError('invalid_input', 'The folder is being filled while it is removed.')
      }
    }
  })
}

/** Removes an emptied folder. Returns false when it has entries again. */
async function isRemoved(parent: Folder, name: string): Promise<boolean> {
  try {
    await gone(parent.removeFolder(name))
    return true
  } catch (error) {
    if (hasErrno(error, 'ENOTEMPTY', 'EEXIST')) return false
    // It was swapped for something else, whose removal was not requested.
    if (hasErrno(error, 'ENOTDIR')) return true
    throw error
  }
}

/** Waits for a removal. An entry that another process removed first is no error. */
async function gone(removal: Promise<void>): Promise<void> {
  await removal.catch((error: unknown) => {
    if (!hasErrno(error, 'ENOENT')) throw error
  })
}
