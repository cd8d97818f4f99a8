import { z } from 'zod'
import type { WorkspaceGuard } from '../../workspace/guard.ts'

/**
 * A path as the platform writes it: from the workspace's root, whether or not it begins with a slash, as listings give
 * it; or an absolute one that begins with the workspace. What it leads to is the guard's to judge.
 */
export function toWorkspacePath(path: string, { root }: WorkspaceGuard): string {
  return path === root || path.startsWith(`${root}/`) ? path : path.replace(/^\/+/, '')
}

export const PathQuery = z.object({ path: z.string().default('') })
export const WildcardParams = z.object({ '*': z.string() })

/** `FileEntry` in JSON. */
export const fileEntry = () =>
  z.object({
    name: z.string(),
    path: z.string().describe("From the workspace's root, with a leading slash."),
    isDir: z.boolean(),
    size: z.number(),
    modifiedAt: z.string(),
  })
