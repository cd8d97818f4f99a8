// The release of OpenShell that a policy is for.
import type { Finding, Path } from './document.ts'

export type Release = readonly [major: number, minor: number, patch: number]

/** The release whose rules apply when none is named. */
export const RELEASE_DEFAULT: Release = [0, 0, 111]

/** The first release that refuses unknown words, which older releases take for the default. It has `mcp.versions`. */
export const TYPED: Release = [0, 1, 0]

/** Parses `0.0.83`, `v0.1.5`, or `0.1` for 0.1.0. Returns undefined for anything else. */
export function parseRelease(text: string): Release | undefined {
  const [, major, minor, patch = '0'] = /^v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?$/.exec(text) ?? []
  return major === undefined || minor === undefined
    ? undefined
    : [Number(major), Number(minor), Number(patch)]
}

export function formatRelease(release: Release): string {
  return release.join('.')
}

export function isAtLeast(release: Release, other: Release): boolean {
  const index = release.findIndex((part, at) => part !== other[at])
  return index === -1 || (release[index] ?? 0) > (other[index] ?? 0)
}

/** Returns the finding for a setting that does not do what it says: a warning, and since 0.1.0 an error. */
export function looseWord(release: Release, path: Path, message: string): Finding {
  const isRefused = isAtLeast(release, TYPED)
  const severity = isRefused ? 'error' : 'warning'
  return { severity, path, message: `${message}; OpenShell ${formatRelease(TYPED)} and newer refuse it` }
}
