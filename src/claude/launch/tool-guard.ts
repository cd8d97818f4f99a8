import { realpath } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { HookCallbackMatcher, HookJSONOutput } from '@anthropic-ai/claude-agent-sdk'
import { hasErrno } from '../../errno.ts'
import type { DeniedPaths } from './managed-settings.ts'

/** Inputs in which the file tools name their file. Glob's pattern may be an absolute path (claude-code.md 7.5). */
const PATH_INPUTS = ['file_path', 'notebook_path', 'path', 'pattern']
const READING_TOOLS = new Set(['Read', 'Glob', 'Grep', 'LSP'])

/**
 * Returns a hook that checks the policy's denied paths before every tool call. Only this check sees where a link leads;
 * Claude Code's own rules do not. It fails closed: a check that throws, or takes too long, blocks the call.
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

/** Returns the real path. Where the end of the path does not exist, resolves the deepest part that does. */
async function whereItLeads(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (error) {
    if (!hasErrno(error, 'ENOENT', 'ENOTDIR') || dirname(path) === path) throw error
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
