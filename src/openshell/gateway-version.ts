import type { Protocol } from './service.ts'

/** The first version with workspaces, SetInferenceRoute and short names. Earlier calls have other fields. */
const FIRST = [0, 0, 88] as const
/** The first version with the second wire form. */
const SECOND_FORM = [0, 1, 0] as const
/** The range of versions that this launcher was tested with. */
export const KNOWN_VERSIONS = `${FIRST.join('.')} to 0.1.5`

/**
 * Returns the wire form of a gateway's version, or undefined when it is too old. A gateway that was built by hand may
 * report 0.0.0 or nothing; the first form is assumed for it.
 */
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
