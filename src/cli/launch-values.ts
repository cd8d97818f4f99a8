import { InvalidArgumentError } from 'commander'
import { EXACT_IMAGE, isExactImage } from '../exact-image.ts'
import { isRepositoryName } from '../repository-name.ts'
import { toWholeNumber } from '../whole-number.ts'
import { isBranchName } from '../workspace/repository-url.ts'

/** The form that a gateway's control API requires. */
const BRANCH_PREFIX = /^[A-Za-z0-9][\w.-]*\/$/

export function toGib(text: string): number {
  const gib = /^\d{1,5}(?:\.\d{1,3})?$/.test(text) ? Number(text) : 0
  if (gib === 0) throw new InvalidArgumentError('Give GiB, such as 4 or 0.5.')
  return gib
}

/** Also where the launch becomes a process, which needs no image: what is given is right, or refused. */
export function toImage(text: string): string {
  if (!isExactImage(text)) throw new InvalidArgumentError(`Give ${EXACT_IMAGE}.`)
  return text
}

export function toRepository(text: string): string {
  if (!isRepositoryName(text)) throw new InvalidArgumentError('Give owner/name.')
  return text
}

export function toBranchPrefix(text: string): string {
  if (!BRANCH_PREFIX.test(text)) throw new InvalidArgumentError('Give a name with a slash behind it: agui/')
  return text
}

export function toDepth(text: string): number {
  const depth = toWholeNumber(text, { min: 1 })
  if (depth === undefined) throw new InvalidArgumentError('Give a number of commits.')
  return depth
}

export function toBranch(text: string): string {
  if (!isBranchName(text)) throw new InvalidArgumentError('Give a branch.')
  return text
}
