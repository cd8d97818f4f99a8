/** A file that differs from HEAD. */
export interface FileChange {
  /** From the root of its repository. */
  path: string
  /** `untracked`: git does not know it yet. `conflicted`: a merge waits for somebody to resolve it. */
  state: 'added' | 'modified' | 'deleted' | 'untracked' | 'conflicted'
  /** Lines; absent where git counts none: of an untracked or a binary file. */
  added?: number
  removed?: number
  isBinary?: true
}

/** Of `git status --porcelain=v1 -z` and `git diff --numstat -z HEAD`, by path. */
export function toFileChanges(porcelain: string, numstat: string): FileChange[] {
  const files = new Map<string, FileChange>()
  for (const entry of porcelain.split('\0').filter((line) => line !== '')) {
    const [code, path] = [entry.slice(0, 2), entry.slice(3)]
    // A file that was taken out of the index and is still there has two entries.
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

/** Git's two letters: the index against HEAD, and the folder against the index. */
function stateOf(code: string): FileChange['state'] {
  if (code === '??') return 'untracked'
  if (UNMERGED.includes(code)) return 'conflicted'
  if (code.includes('D')) return 'deleted'
  return code.startsWith('A') ? 'added' : 'modified'
}
