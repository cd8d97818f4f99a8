import type { NetworkNamespace } from './bwrap/network-namespace.ts'
import type { Places } from './bwrap/places.ts'
import type { BwrapSandboxOptions } from './bwrap-sandbox.ts'

/** Paths that may not be read or written, for callers that no mount confines. */
export interface UnreachablePaths {
  read: readonly string[]
  write: readonly string[]
}

export interface EnforcementOptions extends BwrapSandboxOptions {
  mode: 'auto' | 'required' | 'off'
  places: Omit<Places, 'temporary' | 'home' | 'tls'>
  /** The network namespace when its opening has already begun. Closed with the enforcement, or when none is made. */
  network?: Promise<NetworkNamespace> | undefined
}
