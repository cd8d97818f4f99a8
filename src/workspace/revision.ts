import { RunnerError } from '../errors.ts'
import { quoted } from './guard.ts'
import { isBranchName } from './repository-url.ts'

export type ObjectFormat = 'sha1' | 'sha256'

/** A branch, which may move on, or one commit. */
export type Revision = { branch: string } | Pin

export interface Pin {
  /** What a server gives it by: a ref, or the id itself. */
  source: string
  /** Of the commit, or of a tag that leads to it. */
  id: string
}

const OBJECT_ID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i
export const BRANCHES = 'refs/heads/'
const TAGS = 'refs/tags/'

/** @throws {RunnerError} `invalid_input` for what is the name of nothing that git has. */
export function parseRevisionName(name: string): string {
  if (isBranchName(name)) return name
  throw new RunnerError('invalid_input', 'The branch is none that git could have.')
}

/** The whole id of a commit: never a branch, even where one has that name. */
export function isObjectId(name: string): boolean {
  return OBJECT_ID.test(name)
}

/** The branch that a name means, if it can mean one. */
export function branchOf(name: string): string | undefined {
  if (name.startsWith(BRANCHES)) return name.slice(BRANCHES.length)
  return isObjectId(name) || name.startsWith('refs/') ? undefined : name
}

/** The refs that a name can mean, the first before the others, as for git: a branch before a tag. */
export function refsOf(name: string): string[] {
  if (isObjectId(name)) return []
  return name.startsWith('refs/') ? [name] : [`${BRANCHES}${name}`, `${TAGS}${name}`]
}

export function unknownRevision(name: string): RunnerError {
  const what = isObjectId(name) ? 'commit' : 'branch or tag'
  return new RunnerError(
    'not_found',
    `The repository has no ${what} "${quoted(name)}". Name a branch or a tag that it has, or a commit by its whole id.`,
  )
}
