import { z } from 'zod'
import type { WorkspaceGuard } from '../../workspace/guard.ts'

/**
 * Returns a client's path as a path in the workspace. The client may write it relative to the workspace's root, with or
 * without a leading slash, or absolute with the root as its beginning. The guard judges where the path leads.
 */
export function toWorkspacePath(path: string, { root }: WorkspaceGuard): string {
  return path === root || path.startsWith(`${root}/`) ? path : path.replace(/^\/+/, '')
}

export const PathQuery = z.object({ path: z.string().default('') })
export const WildcardParams = z.object({ '*': z.string() })

/** The schema of a `FileEntry` in JSON. */
export const fileEntry = () =>
  z.object({
    name: z.string(),
    path: z.string().describe("From the workspace's root, with a leading slash."),
    isDir: z.boolean(),
    size: z.number(),
    modifiedAt: z.string(),
  })
