// Host patterns of middleware selectors and tcp endpoints, label by label (core/host_pattern.rs). Network rules match
// hosts with glob.ts. Both agree on every pattern that the checks accept.
import { GlobError } from './glob.ts'
import { compileSelector, parseSelector } from './selector.ts'

/** The labels of a pattern, in lower case. Made only by parseHostPattern. */
export type HostPattern = readonly string[]

/** Parses a host pattern. Throws GlobError with the reason when it is malformed. */
export function parseHostPattern(pattern: string): HostPattern {
  if (pattern === '') throw new GlobError('it is empty')
  if (/\s/.test(pattern)) throw new GlobError('it holds a blank')
  if (/[{}]/.test(pattern)) throw new GlobError('braces are not expanded here; list each host separately')
  const labels = pattern.toLowerCase().split('.')
  if (labels.includes('')) throw new GlobError('it holds an empty DNS label')
  for (const label of labels) if (label !== '**') parseSelector(label)
  return labels
}

const isLiteral = (label: string): boolean => !/[*?[]/.test(label)

function labelsOverlap(left: string, right: string): boolean {
  if (isLiteral(left)) return isLiteral(right) ? left === right : compileSelector(right).matches(left)
  return isLiteral(right) ? compileSelector(left).matches(right) : true
}

/** Whether one host can match both patterns. Two wildcards in the same label are taken to overlap. */
function hostPatternsOverlap(left: HostPattern, right: HostPattern): boolean {
  const pending: [number, number][] = [[0, 0]]
  const seen = new Set<string>()
  for (let step = pending.pop(); step !== undefined; step = pending.pop()) {
    const [i, j] = step
    if (seen.has(`${i},${j}`)) continue
    seen.add(`${i},${j}`)
    if (i === left.length && j === right.length) return true
    const a = left[i]
    const b = right[j]
    if (a === undefined || b === undefined) continue
    // Every move consumes one shared label; `**` may stay for the next one.
    if (a === '**' || b === '**' || labelsOverlap(a, b)) pending.push([i + 1, j + 1])
    if (a === '**') pending.push([i, j + 1])
    if (b === '**') pending.push([i + 1, j])
  }
  return false
}

/** Whether the selector may match a host that `candidate` admits. Exclusions count only when they surely cover it. */
export function selectorMayMatch(
  selector: { include: readonly HostPattern[]; exclude: readonly HostPattern[] },
  candidate: HostPattern,
): boolean {
  return selector.include.some((include) => {
    if (!hostPatternsOverlap(include, candidate)) return false
    const host = [candidate, include].find((pattern) => pattern.every(isLiteral))
    if (host !== undefined) return !selector.exclude.some((exclude) => hostPatternsOverlap(exclude, host))
    return !selector.exclude.some((exclude) =>
      ['**', include.join('.'), candidate.join('.')].includes(exclude.join('.')),
    )
  })
}
