import { RunnerError } from '../errors.ts'
import { type FileOwner, type Folder, hasErrno } from './folder.ts'

/** One open descriptor a level; nothing that is made by hand or by a tool is as deep. */
const DEPTH_MAX = 256
/** For what appears in a folder while it is emptied. */
const ROUNDS_MAX = 5

export interface RemoveTreeOptions {
  signal: AbortSignal
}

/**
 * Removes an entry with all that is in it. Each folder is opened without following anything and emptied through its
 * descriptor, so a folder that is swapped for a link meanwhile costs the link, never what it leads to. (Node's own
 * `rm` goes by paths.)
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
 * Gives an entry with all that is in it to `owner`, the inner before the outer: until the last step nobody but the
 * runner can change what it walks through.
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
      // A folder again, by now.
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

/** `false` when there is something in it again. */
async function isRemoved(parent: Folder, name: string): Promise<boolean> {
  try {
    await gone(parent.removeFolder(name))
    return true
  } catch (error) {
    if (hasErrno(error, 'ENOTEMPTY', 'EEXIST')) return false
    // It was swapped for something else, which is not what was asked to go.
    if (hasErrno(error, 'ENOTDIR')) return true
    throw error
  }
}

/** Somebody else may have removed it first. */
async function gone(removal: Promise<void>): Promise<void> {
  await removal.catch((error: unknown) => {
    if (!hasErrno(error, 'ENOENT')) throw error
  })
}
