import type { Options } from '@anthropic-ai/claude-agent-sdk'

/** Absolute paths, each with all that is below it. */
export interface DeniedPaths {
  read: readonly string[]
  write: readonly string[]
}

/**
 * The policy's walls once more, as Claude Code's own rules: they stop its file tools and what it can read off a
 * command line, also under bypassPermissions, but no program that Bash starts (claude-code.md 7.1). Nothing in a
 * workspace can take them back.
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
