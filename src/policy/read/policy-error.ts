import type { Problem } from './document.ts'

/** The error for a policy that OpenShell would refuse or that cannot be read. `message` has a line per problem. */
export class PolicyError extends Error {
  override readonly name = 'PolicyError'
  readonly problems: readonly Problem[]

  constructor(
    message: string,
    { problems = [], cause }: { problems?: readonly Problem[]; cause?: unknown } = {},
  ) {
    super(message, { cause })
    this.problems = problems
  }
}
