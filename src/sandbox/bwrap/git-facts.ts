// What git itself says of a repository: asked of the program, which executes nothing for these two questions.
import { type ExecFileSyncOptionsWithStringEncoding, execFileSync } from 'node:child_process'
import { lstatSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { shapeOf } from './freeze.ts'

export interface Setting {
  /** In lower case but for the middle part. */
  key: string
  value: string
}

const CONFIG_BYTES_MAX = 1024 * 1024
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024
const ASK_MS_MAX = 10_000
const GITLINK = '160000'
/** What git opens in a repository before its index, and the index. */
const READ_FIRST = ['HEAD', 'commondir', 'config', 'config.worktree', 'index']
/**
 * Of a million files only the repositories are listed: a short index can have a list of gigabytes. A git that waits (for a
 * pipe that its settings include) is killed itself: it would outlive the shell and hold our end of its output.
 */
const LIST_GITLINKS = `{ timeout -s KILL ${ASK_MS_MAX / 1000} "$@"; [ $? != 137 ] || kill -s KILL $$; } | grep -z '^${GITLINK} '`
/** git executes nothing with these. */
const SETTINGS = ['safe.directory=*', 'core.fsmonitor=false', 'core.hooksPath=/dev/null'].flatMap((one) => [
  '-c',
  one,
])

/** The settings that one file has, includes not followed; undefined when git cannot read it. */
export function settingsIn(file: string): Setting[] | undefined {
  if (shapeOf(file) !== 'file' || lstatSync(file).size > CONFIG_BYTES_MAX) return undefined
  const said = ask(['config', '--no-includes', '--list', '--null', '--file', file], '/')
  return said
    ?.split('\0')
    .filter((entry) => entry !== '')
    .map((entry) => {
      const end = entry.indexOf('\n')
      return end < 0
        ? { key: entry, value: 'true' }
        : { key: entry.slice(0, end), value: entry.slice(end + 1) }
    })
}

const known = new Map<string, { state: string; paths: string[] | undefined }>()

/**
 * Paths, from the worktree's top, that the index holds as other repositories; none when git cannot read it, undefined when
 * git can and we cannot: it is too long for us. git replaces its index, so one that is the same file, of the same time
 * and length, is not read again.
 */
export function gitlinksOf(gitDirectory: string, worktree: string): string[] | undefined {
  const index = join(gitDirectory, 'index')
  const stat = shapeOf(index) === 'file' ? lstatSync(index, { bigint: true }) : undefined
  const state = `${stat?.ino}:${stat?.mtimeNs}:${stat?.ctimeNs}:${stat?.size}`
  const last = known.get(worktree)
  if (stat !== undefined && last?.state === state) return last.paths
  const paths = readGitlinks(gitDirectory, worktree)
  known.set(worktree, { state, paths })
  return paths
}

function readGitlinks(gitDirectory: string, worktree: string): string[] | undefined {
  if (READ_FIRST.some((name) => isEndless(join(gitDirectory, name)))) return undefined
  const place = [`--git-dir=${gitDirectory}`, `--work-tree=${worktree}`]
  const words = ['git', ...SETTINGS, ...place, 'ls-files', '--stage', '-z']
  try {
    return execFileSync('/bin/sh', ['-c', LIST_GITLINKS, 'sh', ...words], options(worktree))
      .split('\0')
      .filter((entry) => entry !== '')
      .map((entry) => entry.slice(entry.indexOf('\t') + 1))
  } catch (error) {
    // grep found none.
    if (error instanceof Error && 'status' in error && error.status === 1) return []
    return undefined
  }
}

/** A pipe or a device, which git would open and wait for. */
function isEndless(path: string): boolean {
  try {
    const stat = statSync(path, { throwIfNoEntry: false })
    return stat !== undefined && !stat.isFile() && !stat.isDirectory()
  } catch {
    return false
  }
}

function ask(parameters: readonly string[], cwd: string): string | undefined {
  try {
    return execFileSync('git', [...SETTINGS, ...parameters], options(cwd))
  } catch {
    // No git here, no repository, or one that git cannot read.
    return undefined
  }
}

function options(cwd: string): ExecFileSyncOptionsWithStringEncoding {
  return {
    cwd,
    encoding: 'utf8',
    env: {
      PATH: '/usr/local/bin:/usr/bin:/bin',
      LC_ALL: 'C',
      HOME: '/nonexistent',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_OPTIONAL_LOCKS: '0',
    },
    maxBuffer: OUTPUT_BYTES_MAX,
    stdio: ['ignore', 'pipe', 'ignore'],
    // After that of the list, which ends the program in the pipe.
    timeout: ASK_MS_MAX + 1000,
  }
}
