import type { Protocol } from './service.ts'

/** The first with workspaces, SetInferenceRoute and short names; before it the same calls have other fields. */
const FIRST = [0, 0, 88] as const
/** The first with the second form of the wire. */
const SECOND_FORM = [0, 1, 0] as const
/** The newest that was held against this launcher. */
export const KNOWN_VERSIONS = `${FIRST.join('.')} to 0.1.5`

/** Undefined for a gateway that is too old. One that was built by hand may say 0.0.0, or nothing: it has the first form. */
export function protocolOf(version: string): Protocol | undefined {
  const parts = /^v?(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number) ?? []
  if (parts.every((part) => part === 0)) return '0.0'
  if (isBefore(parts, FIRST)) return undefined
  return isBefore(parts, SECOND_FORM) ? '0.0' : '0.1'
}

function isBefore(parts: readonly number[], other: readonly number[]): boolean {
  const at = other.findIndex((part, index) => part !== parts[index])
  return at !== -1 && (parts[at] ?? 0) < (other[at] ?? 0)
}
