// Asks the git program for a repository's settings and gitlinks; git executes nothing for these two queries.
import { spawn } from 'node:child_process'
import { lstatSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { shapeOf } from './freeze.ts'

export interface Setting {
  /** The setting's name, in lower case except for the subsection in the middle. */
  key: string
  value: string
}

const CONFIG_BYTES_MAX = 1024 * 1024
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024
const ASK_MS_MAX = 10_000
const GITLINK = '160000'
/** Files that git opens in a repository, up to and including its index. */
const READ_FIRST = ['HEAD', 'commondir', 'config', 'config.worktree', 'index']
/**
 * Shell command that lists only the gitlinks: the full list of a short index can have gigabytes. A git that waits (for
 * a pipe that its settings include) is killed itself: it would outlive the shell and hold its output open.
 */
const LIST_GITLINKS = `{ timeout -s KILL ${ASK_MS_MAX / 1000} "$@"; [ $? != 137 ] || kill -s KILL $$; } | grep -z '^${GITLINK} '`
/** Options with which git executes nothing. */
const SETTINGS = ['safe.directory=*', 'core.fsmonitor=false', 'core.hooksPath=/dev/null'].flatMap((one) => [
  '-c',
  one,
])

const ENVIRONMENT = {
  PATH: '/usr/local/bin:/usr/bin:/bin',
  LC_ALL: 'C',
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_OPTIONAL_LOCKS: '0',
}

/** Returns the settings of one file, includes not followed; undefined when it is too large or git cannot read it. */
export async function settingsIn(file: string): Promise<Setting[] | undefined> {
  if (shapeOf(file) !== 'file' || lstatSync(file).size > CONFIG_BYTES_MAX) return undefined
  const words = ['config', '--no-includes', '--list', '--null', '--file', file]
  const { status, text } = await ask('git', [...SETTINGS, ...words], '/')
  // There is no git here, or git cannot read the file.
  if (status !== 0) return undefined
  return text
    .split('\0')
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
 * Returns the paths, relative to the worktree, that the index holds as other repositories. Returns none when git cannot
 * read the index, and undefined when reading takes too long or yields too much. git replaces its index file on a
 * change, so an index with the same inode, times and size is not read again.
 */
export async function gitlinksOf(gitDirectory: string, worktree: string): Promise<string[] | undefined> {
  const index = join(gitDirectory, 'index')
  const stat = shapeOf(index) === 'file' ? lstatSync(index, { bigint: true }) : undefined
  const state = `${stat?.ino}:${stat?.mtimeNs}:${stat?.ctimeNs}:${stat?.size}`
  const last = known.get(worktree)
  if (stat !== undefined && last?.state === state) return last.paths
  const paths = await readGitlinks(gitDirectory, worktree)
  known.set(worktree, { state, paths })
  return paths
}

async function readGitlinks(gitDirectory: string, worktree: string): Promise<string[] | undefined> {
  if (READ_FIRST.some((name) => isEndless(join(gitDirectory, name)))) return undefined
  const place = [`--git-dir=${gitDirectory}`, `--work-tree=${worktree}`]
  const words = ['git', ...SETTINGS, ...place, 'ls-files', '--stage', '-z']
  const { status, text } = await ask('/bin/sh', ['-c', LIST_GITLINKS, 'sh', ...words], worktree)
  // Status 1: grep found no gitlinks.
  if (status !== 0 && status !== 1) return undefined
  return text
    .split('\0')
    .filter((entry) => entry !== '')
    .map((entry) => entry.slice(entry.indexOf('\t') + 1))
}

/** Decides whether `path` is a pipe or a device, which git would open and wait for. */
function isEndless(path: string): boolean {
  try {
    const stat = statSync(path, { throwIfNoEntry: false })
    return stat !== undefined && !stat.isFile() && !stat.isDirectory()
  } catch {
    return false
  }
}

interface Answer {
  /** The exit code; undefined when the program does not exist or was killed. */
  status: number | undefined
  text: string
}

/** Runs a program and returns its output and exit code; kills it when it prints too much or takes too long. */
function ask(command: string, parameters: readonly string[], cwd: string): Promise<Answer> {
  const child = spawn(command, parameters, { cwd, env: ENVIRONMENT, stdio: ['ignore', 'pipe', 'ignore'] })
  const kill = (): void => {
    // The programs that write to the pipe end with the pipe.
    child.stdout.destroy()
    child.kill('SIGKILL')
  }
  // Later than the timeout in LIST_GITLINKS, which ends git itself.
  const late = setTimeout(kill, ASK_MS_MAX + 1000)
  const chunks: Buffer[] = []
  let bytes = 0
  child.stdout.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > OUTPUT_BYTES_MAX) kill()
  })
  return new Promise((resolve) => {
    const end = (code: number | null): void => {
      clearTimeout(late)
      resolve({ status: code ?? undefined, text: Buffer.concat(chunks).toString() })
    }
    child.once('error', () => end(null))
    child.once('close', end)
  })
}
