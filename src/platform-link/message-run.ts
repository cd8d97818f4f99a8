const RUN_PREFIX = 'platform-message-'

/** The id of the run that a message becomes: the store knows by it that the message was run. */
export function runIdOf(seq: number): string {
  return `${RUN_PREFIX}${seq}`
}

export function isPlatformRun(runId: string): boolean {
  return runId.startsWith(RUN_PREFIX)
}
