import { hasErrno } from '../errno.ts'
import { RunnerError } from '../errors.ts'
import { unfinishedName } from './files.ts'
import type { Folder } from './folder.ts'
import { quoted } from './guard.ts'
import { setOrigin } from './origin.ts'
import { Repository, type RepositoryOptions } from './repository.ts'
import type { ObjectFormat } from './revision.ts'
import { giveTree, removeTree } from './tree.ts'

export interface NewRepositoryRequest {
  url: string
  format: ObjectFormat
  signal: AbortSignal
}

/**
 * Opens the repository of a folder, or makes one, and sets its `origin`. A new repository appears with its origin set,
 * or not at all.
 *
 * @throws {RunnerError} `invalid_input` when the path is no folder, or a repository without a working tree.
 */
export async function openWithOrigin(
  options: RepositoryOptions,
  path: string,
  request: NewRepositoryRequest,
): Promise<Repository> {
  const { guard } = options.files
  const place = await guard.resolve(path)
  if ((await Repository.open(options, place)) === undefined) {
    const folder = await guard.openFolder(place).catch((error: unknown) => {
      if (!(error instanceof RunnerError) || error.code !== 'not_found') throw error
      throw new RunnerError('invalid_input', `There is no folder "${quoted(path)}" in the workspace.`)
    })
    const isMade = await folder.use(async () => {
      if (!(await isBare(folder))) return await init(options, folder, request)
      throw new RunnerError(
        'invalid_input',
        `"${quoted(path)}" is a bare repository, without files to work on.`,
      )
    })
    if (isMade) {
      const made = await Repository.open(options, place)
      if (made !== undefined) return made
    }
  }
  const known = await Repository.open(options, place)
  if (known === undefined) throw new RunnerError('git_failed', 'git made no repository there.')
  await setOrigin(known.gitFolder, options, request)
  return known
}

/** Whether git would take the folder itself for a git folder. */
async function isBare(folder: Folder): Promise<boolean> {
  const parts = await Promise.all(['HEAD', 'objects', 'refs'].map((part) => folder.lstat(part)))
  return parts.every((part) => part !== undefined)
}

/** Makes the repository. Returns false when another process made one meanwhile. */
async function init(
  { git, files }: RepositoryOptions,
  folder: Folder,
  { format, ...origin }: NewRepositoryRequest,
): Promise<boolean> {
  const { guard } = files
  const unfinished = unfinishedName()
  try {
    const objects = format === 'sha1' ? [] : [`--object-format=${format}`]
    await git.run(['init', '--quiet', '--template=', ...objects, '--', unfinished], {
      folder,
      signal: origin.signal,
    })
    const made = await folder.openFolder(unfinished)
    await made.use(async () => {
      const place = await made.realPath()
      await setOrigin(await guard.resolve(`${place}/.git`), { git, files }, origin)
      const owner = await guard.foreignOwner()
      if (owner !== undefined) await giveTree(made, '.git', owner)
      await made.rename('.git', folder, '.git')
    })
    return true
  } catch (error) {
    if (hasErrno(error, 'ENOTEMPTY', 'EEXIST', 'ENOTDIR')) return false
    throw error
  } finally {
    // The cleanup goes on when the client has left.
    await removeTree(folder, unfinished, { signal: new AbortController().signal })
  }
}
