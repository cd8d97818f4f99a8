import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Folder } from './folder.ts'

/** Runs `work` with an empty folder outside the workspace, and removes the folder afterwards. */
export async function withScratch<T>(work: (path: string, folder: Folder) => Promise<T>): Promise<T> {
  const path = await mkdtemp(join(tmpdir(), 'agui-runner-git-'))
  try {
    const folder = await Folder.open(path)
    return await folder.use(() => work(path, folder))
  } finally {
    await rm(path, { recursive: true, force: true })
  }
}
