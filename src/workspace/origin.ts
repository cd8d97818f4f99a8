import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { WorkspaceFiles } from './files.ts'
import type { Git } from './git.ts'
import type { WorkspacePath } from './guard.ts'
import { isMissing } from './repository.ts'
import { withScratch } from './scratch-folder.ts'

const CONFIG_BYTES_MAX = 1024 * 1024

/**
 * Sets the remote `origin`. Git edits a copy of the settings, which is then written back through the guard, because git
 * itself would follow a link.
 */
export async function setOrigin(
  gitFolder: WorkspacePath,
  { git, files }: { git: Git; files: WorkspaceFiles },
  { url, signal }: { url: string; signal: AbortSignal },
): Promise<void> {
  const path = `${gitFolder}/config`
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

async function readSettings(files: WorkspaceFiles, path: string): Promise<string> {
  try {
    return await files.readText(path, { bytesMax: CONFIG_BYTES_MAX })
  } catch (error) {
    if (isMissing(error)) return ''
    throw error
  }
}
