import { spawnSync } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { resolve } from 'node:path'

export const WRAPPERS = resolve('wrappers')

const SH = '/bin/sh'
/** Every shell of this machine that could be `/bin/sh`, and that one; once, where it is a link to another. */
export const SHELLS: readonly (readonly string[])[] = [
  [SH],
  ...[['/bin/dash'], ['/bin/bash', '--posix'], ['/bin/busybox', 'sh']].filter(
    ([file = '']) => existsSync(file) && realpathSync(file) !== realpathSync(SH),
  ),
]

export interface Finished {
  code: number | null
  stdout: string
  stderr: string
}

export interface RunOptions {
  env: Readonly<Record<string, string>>
  cwd?: string
}

/** Runs a program to its end with exactly this environment and an empty stdin. */
export function run(command: readonly string[], { env, cwd }: RunOptions): Finished {
  const [file = '', ...argv] = command
  const done = spawnSync(file, argv, { env: { ...env }, cwd, input: '', encoding: 'utf8', timeout: 20_000 })
  if (done.error) throw done.error
  return { code: done.status, stdout: done.stdout, stderr: done.stderr }
}

/** Reads NUL-separated `KEY=VALUE`, as `env -0` and `model-route.sh --print` write it. */
export function readPairs(text: string): Record<string, string> {
  const pairs = text.split('\0').filter((pair) => pair !== '')
  return Object.fromEntries(
    pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  )
}

/** What a shell exports by itself. */
const SHELLS_OWN = new Set(['PWD', 'OLDPWD', 'SHLVL', '_'])

/** The environment that the wrapper gives Claude Code; `env -0` stands in for the binary and prints its own. */
export function wrapperEnvironment(
  shell: readonly string[],
  wrapper: string,
  env: Readonly<Record<string, string>>,
): Record<string, string> {
  const done = run([...shell, wrapper, '-0'], { env: { ...env, CLAUDE_CLI_PATH: '/usr/bin/env' } })
  if (done.code !== 0 || done.stderr !== '') throw new Error(`wrapper: ${done.code}: ${done.stderr}`)
  return Object.fromEntries(Object.entries(readPairs(done.stdout)).filter(([name]) => !SHELLS_OWN.has(name)))
}
