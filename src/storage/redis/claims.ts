/** The number of claims that a thread's `meta` keeps. */
export const CLAIMS_KEPT = 16

/**
 * Returns the last seq that a log still has in common with what a reader got of it under an earlier fence.
 *
 * A writer goes on at the head that its claim finds. After a crash in which Redis lost records, that head may be lower than
 * the place of a reader: the reader's next records would then not be the ones that follow those it has.
 *
 * @param claims the thread's last claims, the eldest first: `<fence>/<head>` each, separated by spaces. A writer that
 * claims a thread again after Redis lost its claim notes its own head: it sends again what is missing.
 * @param fence as `<number>:<writer>`; empty when no writer was known.
 */
export function commonUpTo(claims: string, fence: string): number {
  const kept = claims.split(' ').filter((claim) => claim !== '')
  const at = kept.findIndex((claim) => claim.startsWith(`${fence}/`))
  // Redis has lost the claim too. A claim in its place may have the same number.
  const later = at >= 0 ? kept.slice(at + 1) : kept.filter((claim) => numberOf(claim) >= numberOf(fence))
  // There may have been claims of which nothing is known.
  if (later.length === CLAIMS_KEPT) return 0
  return Math.min(...later.map((claim) => Number(claim.split('/')[1])))
}

/** Returns the number of a fence, or of the fence of a claim; 0 when there is none. */
function numberOf(fence: string): number {
  return Number(/^\d+/.exec(fence)?.[0] ?? 0)
}
