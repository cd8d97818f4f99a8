import { isAtLeast, RELEASE_DEFAULT, type Release, TYPED } from '../policy/read/release.ts'
import type { Protocol } from './service.ts'

/** The first version with workspaces, SetInferenceRoute and short names. Earlier calls have other fields. */
const FIRST: Release = [0, 0, 88]
/** The range of versions that this launcher was tested with. */
export const KNOWN_VERSIONS = `${FIRST.join('.')} to 0.1.5`

/** Returns a gateway's release. One that was built by hand may report 0.0.0 or nothing; the default is assumed for it. */
export function releaseOf(version: string): Release {
  const [, major, minor, patch] = /^v?(\d+)\.(\d+)\.(\d+)/.exec(version)?.map(Number) ?? []
  return major === undefined || minor === undefined || patch === undefined || major + minor + patch === 0
    ? RELEASE_DEFAULT
    : [major, minor, patch]
}

/** Returns the wire form of a release, or undefined when it is too old. The second form came with typed policies. */
export function protocolOf(release: Release): Protocol | undefined {
  if (!isAtLeast(release, FIRST)) return undefined
  return isAtLeast(release, TYPED) ? '0.1' : '0.0'
}
