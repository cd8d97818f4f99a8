// The place of a check: one endpoint of one rule, with access to the text that is written there.
import type { Path } from './document.ts'
import type { PolicyMode } from './fields.ts'
import type { Release } from './release.ts'
import type { Endpoint, Policy } from './schema.ts'

export interface EndpointSite {
  mode: PolicyMode
  release: Release
  /** The key in network_policies. */
  rule: string
  endpoint: Endpoint
  path: Path
  /** Whether anything is written at this path. Tells `[]` from absent. */
  has: (path: Path) => boolean
}

export function endpointSites(
  policy: Policy,
  reading: Pick<EndpointSite, 'mode' | 'release' | 'has'>,
): EndpointSite[] {
  return Object.entries(policy.network_policies).flatMap(([rule, { endpoints }]) =>
    endpoints.map((endpoint, index) => ({
      ...reading,
      rule,
      endpoint,
      path: ['network_policies', rule, 'endpoints', index],
    })),
  )
}

/** Returns a warning for unbalanced brackets: OpenShell loads such a pattern, then refuses requests that need it. */
export function globWarning(pattern: string): string | undefined {
  for (const [open, close] of ['[]', '{}']) {
    let depth = 0
    for (const char of pattern) {
      if (char === open) depth += 1
      else if (char === close) depth -= 1
      if (depth < 0) return `glob "${pattern}" has an unmatched "${close}": what touches it is refused`
    }
    if (depth > 0) return `glob "${pattern}" has an unclosed "${open}": what touches it is refused`
  }
  return undefined
}
