// Which repositories of the workspace are the person's. It is kept on disk before anything starts inside: a runner that
// was killed could not tell them from those that were made meanwhile.
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { z } from 'zod'

/** Door of the stored record. */
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

/** All are absolute paths. */
export interface KnownRepositories {
  readonly workspace: string
  /** Folders above the workspace that are repositories. */
  readonly enclosing: ReadonlySet<string>
  /** Folders with a `.git`. */
  readonly worktrees: ReadonlySet<string>
  /** Those of them that were made while something ran inside: no index may name them. */
  readonly strange: ReadonlySet<string>
  /** Repositories that can be written below a frozen `modules`. */
  readonly thawed: ReadonlySet<string>
  /** Folders whose index is too long to be read. */
  readonly unread: ReadonlySet<string>
  /** Links that git or Claude Code would follow, and what they said. */
  readonly links: ReadonlyMap<string, string>
}

interface Recorded {
  known: KnownRepositories
  /** Something runs inside, or did when its runner was killed. */
  isAtWork: boolean
}

/** What the last runner on this state folder knew; undefined when there was none, or it knew another workspace. */
export function readKnown(file: string, workspace: string): Recorded | undefined {
  let stored: z.infer<typeof Stored>
  try {
    stored = Stored.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch {
    // It is not there. It is never there in part.
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

/** Whole or not at all. */
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
