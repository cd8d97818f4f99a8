const RUN_PREFIX = 'platform-message-'

/** Returns the id of a message's run. By this id the store knows that the message was run. */
export function runIdOf(seq: number): string {
  return `${RUN_PREFIX}${seq}`
}

export function isPlatformRun(runId: string): boolean {
  return runId.startsWith(RUN_PREFIX)
}
