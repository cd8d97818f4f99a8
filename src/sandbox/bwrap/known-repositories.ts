// Records on disk which repositories of the workspace are the person's, before anything starts inside. After a kill,
// the next runner could not distinguish them from repositories made meanwhile.
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { z } from 'zod'

/** Schema of the stored record. */
const Stored = z.object({
  isAtWork: z.boolean(),
  workspace: z.string(),
  enclosing: z.array(z.string()),
  worktrees: z.array(z.string()),
  strange: z.array(z.string()),
  thawed: z.array(z.string()),
  unread: z.array(z.string()),
  links: z.array(z.tuple([z.string(), z.string()])),
})

/** The known repositories of one workspace. All paths are absolute. */
export interface KnownRepositories {
  readonly workspace: string
  /** Folders above the workspace that are repositories. */
  readonly enclosing: ReadonlySet<string>
  /** Folders with a `.git`. */
  readonly worktrees: ReadonlySet<string>
  /** Repositories that were made while something ran inside; no index may name them. */
  readonly strange: ReadonlySet<string>
  /** Repositories that stay writable below a frozen `modules`. */
  readonly thawed: ReadonlySet<string>
  /** Folders whose index is too long to be read. */
  readonly unread: ReadonlySet<string>
  /** Links that git or Claude Code would follow, with their targets as written. */
  readonly links: ReadonlyMap<string, string>
}

interface Recorded {
  known: KnownRepositories
  /** Whether something runs inside, or did when its runner was killed. */
  isAtWork: boolean
}

/** Reads what the last runner on this state folder knew; undefined without one, or when its workspace was another. */
export function readKnown(file: string, workspace: string): Recorded | undefined {
  let stored: z.infer<typeof Stored>
  try {
    stored = Stored.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch {
    // There is no readable record. It is never half-written.
    return undefined
  }
  if (stored.workspace !== workspace) return undefined
  const { isAtWork, enclosing, worktrees, strange, thawed, unread, links } = stored
  const known: KnownRepositories = {
    workspace,
    enclosing: new Set(enclosing),
    worktrees: new Set(worktrees),
    strange: new Set(strange),
    thawed: new Set(thawed),
    unread: new Set(unread),
    links: new Map(links),
  }
  return { known, isAtWork }
}

/** Writes the record atomically: to a new file that is then renamed. */
export function writeKnown(file: string, { known, isAtWork }: Recorded): void {
  const { workspace, enclosing, worktrees, strange, thawed, unread, links } = known
  const stored: z.infer<typeof Stored> = {
    isAtWork,
    workspace,
    enclosing: [...enclosing],
    worktrees: [...worktrees],
    strange: [...strange],
    thawed: [...thawed],
    unread: [...unread],
    links: [...links],
  }
  writeFileSync(`${file}.new`, JSON.stringify(stored), { mode: 0o600 })
  renameSync(`${file}.new`, file)
}
