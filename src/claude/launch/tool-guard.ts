import { realpath } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { HookCallbackMatcher, HookJSONOutput } from '@anthropic-ai/claude-agent-sdk'
import type { DeniedPaths } from './managed-settings.ts'

/** Where the file tools name their file; Glob may carry an absolute path in its pattern (claude-code.md 7.5). */
const PATH_INPUTS = ['file_path', 'notebook_path', 'path', 'pattern']
const READING_TOOLS = new Set(['Read', 'Glob', 'Grep', 'LSP'])

/**
 * The policy's walls as a hook before every tool call: the one place that sees where a link leads, which Claude Code's
 * own rules do not. It fails closed: a check that breaks, or takes too long, blocks the call.
 */
export function toolGuard(denied: DeniedPaths, workspace: string): HookCallbackMatcher[] {
  return [
    {
      onFailure: 'block',
      hooks: [
        async (input): Promise<HookJSONOutput> => {
          if (input.hook_event_name !== 'PreToolUse') return {}
          const path = await firstDenied(input.tool_name, input.tool_input, { denied, workspace })
          return path === undefined ? {} : refusal(`${path} is outside of what the policy allows this tool.`)
        },
      ],
    },
  ]
}

async function firstDenied(
  tool: string,
  input: unknown,
  { denied, workspace }: { denied: DeniedPaths; workspace: string },
): Promise<string | undefined> {
  if (typeof input !== 'object' || input === null) return undefined
  const walls = READING_TOOLS.has(tool) ? denied.read : [...denied.read, ...denied.write]
  for (const name of PATH_INPUTS) {
    const value: unknown = Reflect.get(input, name)
    if (typeof value !== 'string' || (name === 'pattern' && !value.startsWith('/'))) continue
    const path = resolve(workspace, value)
    const led = await whereItLeads(path)
    if (walls.some((wall) => isBelow(path, wall) || isBelow(led, wall))) return value
  }
  return undefined
}

/** The real place of the path, or of the deepest part of it that is there. */
async function whereItLeads(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (error) {
    const isAbsent =
      error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')
    if (!isAbsent || dirname(path) === path) throw error
    return resolve(await whereItLeads(dirname(path)), path.slice(dirname(path).length).replace(/^\/+/, ''))
  }
}

function isBelow(path: string, wall: string): boolean {
  return path === wall || path.startsWith(wall.endsWith('/') ? wall : `${wall}/`)
}

function refusal(reason: string): HookJSONOutput {
  return {
    hookSpecificOutput: {
      hookEventName: 'PreToolUse',
      permissionDecision: 'deny',
      permissionDecisionReason: reason,
    },
  }
}
