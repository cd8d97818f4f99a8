/** A repository's state, as the routes return it. */
export interface RepositoryStatus {
  initialized: boolean
  hasChanges: boolean
  /** The branch checked out; `HEAD`, as in git, when there is none. */
  branch?: string
  detached?: true
  /** The id of the commit checked out when HEAD is detached. */
  commit?: string | undefined
  remoteUrl?: string
  hasRemote?: boolean
  filesAdded?: number
  filesRemoved?: number
  uncommittedFiles?: number
  totalAdded?: number
  totalRemoved?: number
  modified: string[]
  staged: string[]
  untracked: string[]
}

/** The status of a folder that holds no repository. */
export const NO_REPOSITORY: RepositoryStatus = {
  initialized: false,
  hasChanges: false,
  modified: [],
  staged: [],
  untracked: [],
}

const PATHS_MAX = 1000

/** Parses `git status --porcelain=v1 -z`. `count` covers all files; each list has at most `PATHS_MAX` paths. */
export function toChanges(porcelain: string): {
  count: number
  lists: Pick<RepositoryStatus, 'modified' | 'staged' | 'untracked'>
} {
  const lists = { modified: [] as string[], staged: [] as string[], untracked: [] as string[] }
  const lines = porcelain.split('\0').filter((line) => line !== '')
  for (const line of lines) {
    const path = line.slice(3)
    const into = (list: string[]): void => {
      if (list.length < PATHS_MAX) list.push(path)
    }
    if (line.startsWith('??')) into(lists.untracked)
    else {
      if (line[0] !== ' ') into(lists.staged)
      if (line[1] !== ' ') into(lists.modified)
    }
  }
  return { count: lines.length, lists }
}

/** Sums up `git diff --numstat -z`. */
export function toLineCounts(numstat: string): {
  filesAdded: number
  filesRemoved: number
  totalAdded: number
  totalRemoved: number
} {
  const counts = { filesAdded: 0, filesRemoved: 0, totalAdded: 0, totalRemoved: 0 }
  for (const line of numstat.split('\0')) {
    const [added = 0, removed = 0] = line.split('\t').map((text) => (/^\d+$/.test(text) ? Number(text) : 0))
    counts.totalAdded += added
    counts.totalRemoved += removed
    if (added > 0) counts.filesAdded += 1
    if (removed > 0) counts.filesRemoved += 1
  }
  return counts
}
