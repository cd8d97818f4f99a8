import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { WorkspaceFiles } from './files.ts'
import { Folder } from './folder.ts'
import type { Git } from './git.ts'
import { isMissing, type Repository } from './repository.ts'
import type { Credential, RepositoryUrl } from './repository-url.ts'

export interface FetchRequest {
  remote: RepositoryUrl
  /** All of them when none is named. */
  branch: string | undefined
  credential: Credential | undefined
  signal: AbortSignal
}

const CONFIG_BYTES_MAX = 1024 * 1024

/**
 * Fetches into a repository of the workspace. The git that holds the credential works in an empty repository of its
 * own, whose settings nobody else wrote; what it brought is then taken over without it.
 */
export async function fetchInto(
  repository: Repository,
  git: Git,
  { remote, branch, credential, signal }: FetchRequest,
): Promise<void> {
  await withScratch(async (path, folder) => {
    await git.run(['init', '--quiet', '--bare', '--template=', '--', '.'], { folder, signal })
    const which = branch ?? '*'
    await git.run(
      [
        '--git-dir=.',
        'fetch',
        '--quiet',
        '--no-tags',
        '--no-recurse-submodules',
        '--',
        remote.url,
        `+refs/heads/${which}:refs/heads/${which}`,
      ],
      { folder, signal, credential, config: networkSettings(remote) },
    )
    await repository.takeFrom(path, signal)
  })
}

/**
 * Names the remote `origin`. git works on a copy of the settings, which is then put back by the guard's own way of
 * writing: git itself would follow a link.
 */
export async function setOrigin(
  repository: Repository,
  { git, files }: { git: Git; files: WorkspaceFiles },
  { url, signal }: { url: string; signal: AbortSignal },
): Promise<void> {
  const path = `${repository.gitFolder}/config`
  await withScratch(async (scratch, folder) => {
    const copy = join(scratch, 'config')
    await writeFile(copy, await readSettings(files, path))
    const set = (key: string, value: string): Promise<string> =>
      git.run(['config', '--file', 'config', '--replace-all', '--end-of-options', key, value], {
        folder,
        signal,
      })
    await set('remote.origin.url', url)
    await set('remote.origin.fetch', '+refs/heads/*:refs/remotes/origin/*')
    await files.write(path, [await readFile(copy)], { bytesMax: CONFIG_BYTES_MAX, signal })
  })
}

/** Exactly for this URL, which wins over whatever is said of less of it. */
export function networkSettings({ url }: RepositoryUrl): [key: string, value: string][] {
  return [[`http.${url}.sslVerify`, 'true']]
}

async function readSettings(files: WorkspaceFiles, path: string): Promise<string> {
  try {
    return await files.readText(path, { bytesMax: CONFIG_BYTES_MAX })
  } catch (error) {
    if (isMissing(error)) return ''
    throw error
  }
}

async function withScratch(work: (path: string, folder: Folder) => Promise<void>): Promise<void> {
  const path = await mkdtemp(join(tmpdir(), 'agui-runner-git-'))
  try {
    const folder = await Folder.open(path)
    await folder.use(() => work(path, folder))
  } finally {
    await rm(path, { recursive: true, force: true })
  }
}
