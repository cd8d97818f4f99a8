import type { Options } from '@anthropic-ai/claude-agent-sdk'

/** Paths that a policy denies: absolute, each with everything below it. */
export interface DeniedPaths {
  read: readonly string[]
  write: readonly string[]
}

/**
 * Returns the policy's denied paths as Claude Code's own rules. The rules stop its file tools and the paths that it
 * recognises in a command line, also under bypassPermissions. They stop no program that Bash starts (claude-code.md
 * 7.1). Nothing in a workspace can revoke them.
 */
export function managedSettings(
  denied: DeniedPaths,
  { isConfined }: { isConfined: boolean },
): NonNullable<Options['managedSettings']> {
  const rules = (tool: string, paths: readonly string[]): string[] =>
    paths.flatMap((path) => [`${tool}(/${path})`, `${tool}(/${path}/**)`])
  return {
    permissions: {
      deny: [...rules('Read', denied.read), ...rules('Edit', [...denied.read, ...denied.write])],
      ...(isConfined ? {} : { disableBypassPermissionsMode: 'disable' as const }),
    },
  }
}
