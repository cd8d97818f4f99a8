import { type Json, toList, toNumber, toObject, toText } from './fields.ts'

/** A repository of the workspace and what differs from its HEAD, as `GET /changes` says it. */
export interface RepositoryShape {
  /** From the root of the workspace; empty for the workspace itself. */
  repository: string
  branch: string
  files: ChangedShape[]
  /** There are more. */
  isTruncated: boolean
}

export interface ChangedShape {
  /** From the root of its repository. */
  path: string
  state: string
  /** Lines; undefined where git counts none. */
  added: number | undefined
  removed: number | undefined
  isBinary: boolean
}

export interface FolderShape {
  entries: EntryShape[]
  isTruncated: boolean
}

interface EntryShape {
  name: string
  isFolder: boolean
  /** Bytes. */
  size: number
}

export function readRepositories(answer: Json): RepositoryShape[] {
  return toList(answer['repositories'])
    .map(toObject)
    .map((repository) => ({
      repository: toText(repository['repository']) ?? '',
      branch: toText(repository['branch']) ?? '',
      files: toList(repository['files']).map(toObject).map(readChanged),
      isTruncated: repository['truncated'] === true,
    }))
}

function readChanged(file: Json): ChangedShape {
  return {
    path: toText(file['path']) ?? '',
    state: toText(file['state']) ?? 'modified',
    added: toNumber(file['added']),
    removed: toNumber(file['removed']),
    isBinary: file['isBinary'] === true,
  }
}

/** What git keeps for itself. A person looks for files of their own. */
const HIDDEN = '.git'

/** The entries of a folder, folders first. */
export function readFolder(answer: Json): FolderShape {
  const entries = toList(answer['items'])
    .map(toObject)
    .map((entry) => ({
      name: toText(entry['name']) ?? '',
      isFolder: entry['isDir'] === true,
      size: toNumber(entry['size']) ?? 0,
    }))
  const seen = entries.filter(({ name }) => name !== HIDDEN)
  seen.sort((a, b) => Number(b.isFolder) - Number(a.isFolder) || a.name.localeCompare(b.name))
  return { entries: seen, isTruncated: answer['truncated'] === true }
}

/** The ending of a file's name, else the name (`Dockerfile`). The highlighter knows which of them are languages. */
export function languageOf(path: string): string {
  const name = path.split('/').at(-1) ?? ''
  return (name.split('.').at(-1) ?? name).toLowerCase()
}
