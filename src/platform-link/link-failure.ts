/**
 * What a call to the control plane failed with, by what is to be done: try `again`; get another `token`; know that it is
 * `refused` for good; leave out what it does not know (`unsupported`) or does not take (`unfit`).
 */
export type Remedy = 'again' | 'token' | 'refused' | 'unsupported' | 'unfit'

export class LinkFailure extends Error {
  override readonly name = 'LinkFailure'
  readonly remedy: Remedy
  /** It may have been done all the same: only the answer is missing. */
  readonly isUnsure: boolean

  constructor(message: string, { remedy, isUnsure = false }: { remedy: Remedy; isUnsure?: boolean }) {
    super(message)
    this.remedy = remedy
    this.isUnsure = isUnsure
  }
}
