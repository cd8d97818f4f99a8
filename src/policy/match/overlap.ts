// Whether one text can match two patterns, step by step. The patterns are those of hosts in network rules and of paths
// of endpoints.
import { parseSelector, type SelectorToken } from './selector.ts'

/** One step of a pattern: the code points it takes, once or any number of times. */
export interface Step {
  isStar: boolean
  ranges: readonly Range[]
}
type Range = readonly [from: number, to: number]

const CODE_POINT_MAX = 0x10ffff
const EVERY: Range = [0, CODE_POINT_MAX]

export function hostSteps(pattern: string): Step[] {
  return (pattern.match(/\*+|[^*]/gu) ?? []).map((part): Step => {
    if (part === '*') return { isStar: true, ranges: complement([[0x2e, 0x2e]]) }
    return part.startsWith('*')
      ? { isStar: true, ranges: [EVERY] }
      : { isStar: false, ranges: [rangeOf(part)] }
  })
}

/** @throws {GlobError} for a pattern that OpenShell cannot read. */
export function pathSteps(pattern: string): Step[] {
  return parseSelector(pattern).map((token: SelectorToken): Step => {
    if (token.kind === 'char') return { isStar: false, ranges: [rangeOf(token.char)] }
    if (token.kind !== 'class') return { isStar: token.kind !== 'any-char', ranges: [EVERY] }
    const ranges = token.ranges.map(([from, to]): Range => [codePoint(from), codePoint(to)])
    return { isStar: false, ranges: token.negated ? complement(ranges) : ranges }
  })
}

/** Whether one text matches both patterns. The walk over pairs of positions is bounded by their product. */
export function languagesMeet(left: readonly Step[], right: readonly Step[]): boolean {
  const pending: [number, number][] = [[0, 0]]
  const seen = new Set<number>()
  for (let pair = pending.pop(); pair !== undefined; pair = pending.pop()) {
    const [i, j] = pair
    const key = i * (right.length + 1) + j
    if (seen.has(key)) continue
    seen.add(key)
    if (i === left.length && j === right.length) return true
    const a = left[i]
    const b = right[j]
    if (a?.isStar === true) pending.push([i + 1, j])
    if (b?.isStar === true) pending.push([i, j + 1])
    if (a === undefined || b === undefined || !shareCharacter(a, b)) continue
    pending.push([a.isStar ? i : i + 1, b.isStar ? j : j + 1])
  }
  return false
}

function shareCharacter(left: Step, right: Step): boolean {
  return left.ranges.some(([from, to]) => right.ranges.some(([start, end]) => from <= end && start <= to))
}

const codePoint = (char: string): number => char.codePointAt(0) ?? 0

const rangeOf = (char: string): Range => [codePoint(char), codePoint(char)]

function complement(ranges: readonly Range[]): Range[] {
  const gaps: Range[] = []
  let next = 0
  for (const [from, to] of [...ranges].sort(([a], [b]) => a - b)) {
    if (from > next) gaps.push([next, from - 1])
    next = Math.max(next, to + 1)
  }
  return next > CODE_POINT_MAX ? gaps : [...gaps, [next, CODE_POINT_MAX]]
}
