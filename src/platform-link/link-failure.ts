/**
 * What to do after a failed call to the control plane: try `again`; get another `token`; give up, since the runner is
 * `refused` for good; leave out a call that it does not know (`unsupported`) or a payload that it rejects (`unfit`).
 */
export type Remedy = 'again' | 'token' | 'refused' | 'unsupported' | 'unfit'

export class LinkFailure extends Error {
  override readonly name = 'LinkFailure'
  readonly remedy: Remedy
  /** Whether the call may have succeeded all the same: only the answer is missing. */
  readonly isUnsure: boolean

  constructor(message: string, { remedy, isUnsure = false }: { remedy: Remedy; isUnsure?: boolean }) {
    super(message)
    this.remedy = remedy
    this.isUnsure = isUnsure
  }
}
