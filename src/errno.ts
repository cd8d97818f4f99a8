/** Returns the code of a failed system call, such as `ENOENT`. Undefined for anything else that was thrown. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** Whether a system call failed with one of these codes. */
export function hasErrno(error: unknown, ...codes: string[]): boolean {
  const code = errnoOf(error)
  return code !== undefined && codes.includes(code)
}
