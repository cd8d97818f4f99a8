import type { NetworkNamespace } from './bwrap/network-namespace.ts'
import type { Places } from './bwrap/places.ts'
import type { BwrapSandboxOptions } from './bwrap-sandbox.ts'

/** By name, for whoever cannot be held to it by a mount. */
export interface UnreachablePaths {
  read: readonly string[]
  write: readonly string[]
}

export interface EnforcementOptions extends BwrapSandboxOptions {
  mode: 'auto' | 'required' | 'off'
  places: Omit<Places, 'temporary' | 'home' | 'tls'>
  /** Being opened already, because it needs nothing of the above. Closed with the enforcement, or when none is made. */
  network?: Promise<NetworkNamespace> | undefined
}
