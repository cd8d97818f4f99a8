// What git itself says of a repository: asked of the program, which executes nothing for these two questions.
import { spawn } from 'node:child_process'
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

const ENVIRONMENT = {
  PATH: '/usr/local/bin:/usr/bin:/bin',
  LC_ALL: 'C',
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_OPTIONAL_LOCKS: '0',
}

/** The settings that one file has, includes not followed; undefined when git cannot read it. */
export async function settingsIn(file: string): Promise<Setting[] | undefined> {
  if (shapeOf(file) !== 'file' || lstatSync(file).size > CONFIG_BYTES_MAX) return undefined
  const words = ['config', '--no-includes', '--list', '--null', '--file', file]
  const { status, text } = await ask('git', [...SETTINGS, ...words], '/')
  // No git here, no repository, or one that git cannot read.
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
 * Paths, from the worktree's top, that the index holds as other repositories; none when git cannot read it, undefined when
 * git can and we cannot: it is too long for us. git replaces its index, so one that is the same file, of the same time
 * and length, is not read again.
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
  // 1: grep found none.
  if (status !== 0 && status !== 1) return undefined
  return text
    .split('\0')
    .filter((entry) => entry !== '')
    .map((entry) => entry.slice(entry.indexOf('\t') + 1))
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

interface Answer {
  /** The exit code; undefined when there was no program, or it was killed. */
  status: number | undefined
  text: string
}

/** What a program says, and how it ends. One that says or takes too much is killed. */
function ask(command: string, parameters: readonly string[], cwd: string): Promise<Answer> {
  const child = spawn(command, parameters, { cwd, env: ENVIRONMENT, stdio: ['ignore', 'pipe', 'ignore'] })
  const kill = (): void => {
    // What is behind it in the pipe ends with the pipe.
    child.stdout.destroy()
    child.kill('SIGKILL')
  }
  // Behind that of the list, which ends the program in the pipe.
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
