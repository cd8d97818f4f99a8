import { toObject, toText } from '../model/fields.ts'
import type { Edit } from '../model/tool-shape.ts'
import {
  type FolderShape,
  type RepositoryShape,
  readFolder,
  readRepositories,
} from '../model/workspace-shapes.ts'
import { runner } from './api.ts'
import { saveFile } from './save.ts'

export async function readChanges(signal: AbortSignal): Promise<RepositoryShape[]> {
  return readRepositories(await ask('changes', {}, signal))
}

/** Both sides of a changed file, HEAD's and the one of now; the side without the file is empty. */
export async function readChange(repository: string, path: string, signal: AbortSignal): Promise<Edit> {
  const { before, after } = await ask('changes/file', { repository, path }, signal)
  return { before: toText(before) ?? '', after: toText(after) ?? '' }
}

export async function listFolder(path: string, signal: AbortSignal): Promise<FolderShape> {
  return readFolder(await ask('content/list', { path }, signal))
}

export async function readText(path: string, signal: AbortSignal): Promise<string> {
  const { text } = await ask('content/text', { path }, signal)
  return toText(text) ?? ''
}

/** Downloads a file of the workspace as it is. */
export async function saveWorkspaceFile(path: string): Promise<void> {
  const answer = await runner.request(`content/file?${new URLSearchParams({ path })}`)
  saveFile(path.split('/').at(-1) ?? path, await answer.blob())
}

async function ask(
  route: string,
  query: Record<string, string>,
  signal: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  const answer = await runner.request(`${route}?${new URLSearchParams(query)}`, { signal })
  return toObject(await answer.json())
}
