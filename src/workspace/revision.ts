import { RunnerError } from '../errors.ts'
import { quoted } from './guard.ts'
import { isBranchName } from './repository-url.ts'

export type ObjectFormat = 'sha1' | 'sha256'

/** A branch, which may move, or one commit. */
export type Revision = { branch: string } | Pin

export interface Pin {
  /** The name to fetch it by: a ref, or the id itself. */
  source: string
  /** The id of the commit, or of a tag that leads to it. */
  id: string
}

const OBJECT_ID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i
export const BRANCHES = 'refs/heads/'
const TAGS = 'refs/tags/'

/** Returns a valid revision name. @throws {RunnerError} `invalid_input` for a name that git cannot have. */
export function parseRevisionName(name: string): string {
  if (isBranchName(name)) return name
  throw new RunnerError('invalid_input', 'The branch is none that git could have.')
}

/** Whether the name is a full commit id. It never means a branch, even where a branch has that name. */
export function isObjectId(name: string): boolean {
  return OBJECT_ID.test(name)
}

/** Returns the branch that a name can mean; undefined when it can only mean something else. */
export function branchOf(name: string): string | undefined {
  if (name.startsWith(BRANCHES)) return name.slice(BRANCHES.length)
  return isObjectId(name) || name.startsWith('refs/') ? undefined : name
}

/** Returns the refs that a name can mean, in order: a branch before a tag, as for `git clone --branch`. */
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
