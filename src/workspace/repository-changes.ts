/** A file that differs from HEAD. */
export interface FileChange {
  /** The path from the root of its repository. */
  path: string
  /** `untracked`: not in the index. `conflicted`: a merge conflict is not resolved yet. */
  state: 'added' | 'modified' | 'deleted' | 'untracked' | 'conflicted'
  /** Added lines; like `removed`, absent where git counts none: for untracked and binary files. */
  added?: number
  removed?: number
  isBinary?: true
}

/** Parses `git status --porcelain=v1 -z` and `git diff --numstat -z HEAD`. Returns the files sorted by path. */
export function toFileChanges(porcelain: string, numstat: string): FileChange[] {
  const files = new Map<string, FileChange>()
  for (const entry of porcelain.split('\0').filter((line) => line !== '')) {
    const [code, path] = [entry.slice(0, 2), entry.slice(3)]
    // A file that was removed from the index but still exists has two entries.
    files.set(path, { path, state: files.has(path) ? 'modified' : stateOf(code) })
  }
  for (const entry of numstat.split('\0')) {
    const [added = '', removed = '', path = ''] = entry.split('\t')
    const file = files.get(path)
    if (file === undefined) continue
    if (added === '-') file.isBinary = true
    else Object.assign(file, { added: Number(added), removed: Number(removed) })
  }
  return [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
}

const UNMERGED = ['DD', 'AU', 'UD', 'UA', 'DU', 'AA', 'UU']

/** Maps git's two letters: the index against HEAD, then the working tree against the index. */
function stateOf(code: string): FileChange['state'] {
  if (code === '??') return 'untracked'
  if (UNMERGED.includes(code)) return 'conflicted'
  if (code.includes('D')) return 'deleted'
  return code.startsWith('A') ? 'added' : 'modified'
}
