import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import { type Finished, run, SHELLS } from './shell-run.ts'

/** Stands in for the server: tells what it was started with. */
const SERVER = `
const { PATH, HOME, WORKSPACE_PATH, RUNNER_STATE_DIR, AGUI_HOST } = process.env
console.log(JSON.stringify({ file: process.argv[1], argv: process.argv.slice(2), WORKSPACE_PATH, RUNNER_STATE_DIR, AGUI_HOST }))
process.exitCode = Number(process.env.EXIT ?? 0)
`

/** Debian's libjemalloc2, which the image has. */
const JEMALLOC = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/libjemalloc.so.2`

let root = ''
let app = ''

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'agui entry ')))
  app = join(root, 'an app')
  mkdirSync(join(app, 'dist'), { recursive: true })
  cpSync('entrypoint.sh', join(app, 'entrypoint.sh'))
  writeFileSync(join(app, 'dist/main.js'), SERVER)
})

afterEach(() => {
  rmSync(root, { recursive: true, force: true })
})

const PATH = `${dirname(process.execPath)}:/usr/bin:/bin`

const start = (
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd = root,
): Finished => run(command, { env: { PATH, HOME: root, ...env }, cwd })

const told = (argv: readonly string[], settings: Readonly<Record<string, string>> = {}): Finished => ({
  code: 0,
  stdout: `${JSON.stringify({ file: join(app, 'dist/main.js'), argv, ...settings })}\n`,
  stderr: '',
})

test.each(SHELLS)('run by %s %s, the server is what serves', (...shell) => {
  expect(start([...shell, join(app, 'entrypoint.sh')])).toEqual(told(['serve']))
})

test('through links and from its own folder it finds the server', () => {
  mkdirSync(join(root, 'runner'))
  symlinkSync('../an app/entrypoint.sh', join(root, 'runner/second'))
  symlinkSync('second', join(root, 'runner/entrypoint.sh'))
  expect(start([join(root, 'runner/entrypoint.sh')])).toEqual(told(['serve']))
  expect(start(['/bin/sh', 'entrypoint.sh'], {}, app)).toEqual(told(['serve']))
})

test('as the control plane executes it: a login shell, one string, stdin at its end', () => {
  const script = `'${join(app, 'entrypoint.sh')}'`
  // The login files of this machine may set PATH; the answer is the same.
  expect(start(['/bin/bash', '-lc', script], { TERM: 'dumb' })).toMatchObject({ code: 0, stderr: '' })
})

test('what is set stays set, and the address is left to the server', () => {
  const settings = { WORKSPACE_PATH: '/w', RUNNER_STATE_DIR: '/s', AGUI_HOST: '0.0.0.0' }
  expect(start([join(app, 'entrypoint.sh')], settings)).toEqual(told(['serve'], settings))
})

test('the server’s allocator gives memory back, and an operator’s own settings stay', () => {
  const names = ['LD_PRELOAD', 'MALLOC_CONF', 'MALLOC_MMAP_THRESHOLD_', 'MALLOC_ARENA_MAX']
  const script = `console.log(JSON.stringify(${JSON.stringify(names)}.map((name) => process.env[name])))
    console.log(require('node:fs').readFileSync('/proc/self/maps', 'utf8').includes('libjemalloc'))`
  writeFileSync(join(app, 'dist/main.js'), script)
  const started = (env: Record<string, string>): string[] =>
    start([join(app, 'entrypoint.sh')], env).stdout.split('\n')
  const [, isLoaded] = started({})
  expect(isLoaded).toBe(String(existsSync(JEMALLOC)))
  if (process.env['CI'] === 'true') expect(isLoaded).toBe('true')
  const own = {
    LD_PRELOAD: '',
    MALLOC_CONF: 'narenas:2',
    MALLOC_MMAP_THRESHOLD_: '131072',
    MALLOC_ARENA_MAX: '4',
  }
  expect(started(own)).toEqual([JSON.stringify(Object.values(own)), 'false', ''])
})

test.skipIf(!existsSync(JEMALLOC))('an allocator that cannot be loaded is left alone, without a word', () => {
  writeFileSync(join(root, 'damaged'), 'no library')
  const covered = ['/usr/bin/bwrap', '--dev-bind', '/', '/', '--ro-bind', join(root, 'damaged'), JEMALLOC]
  writeFileSync(join(app, 'dist/main.js'), 'console.log(process.env.LD_PRELOAD)')
  expect(start([...covered, join(app, 'entrypoint.sh')])).toEqual({
    code: 0,
    stdout: 'undefined\n',
    stderr: '',
  })
})

test('the exit code is the server’s', () => {
  expect(start([join(app, 'entrypoint.sh')], { EXIT: '5' }).code).toBe(5)
})

test('signals reach the server, because it is the process', async () => {
  writeFileSync(
    join(app, 'dist/main.js'),
    'process.on("SIGTERM", () => { console.log("stopped"); process.exit(3) }); console.log(process.pid); setInterval(() => {}, 1e6)',
  )
  let served = 0
  const child = spawn(join(app, 'entrypoint.sh'), {
    env: { PATH, HOME: root },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
    if (served > 0 && served !== child.pid) process.kill(served, 'SIGKILL')
  })
  served = Number(String((await once(child.stdout, 'data'))[0]))
  expect(served).toBe(child.pid)
  const said = once(child.stdout, 'data')
  child.kill('SIGTERM')
  expect(String((await said)[0])).toBe('stopped\n')
  expect(await once(child, 'close')).toEqual([3, null])
})

test('with stdin, stdout and stderr closed it still starts the server', () => {
  const script = 'exec "$0" <&- >&- 2>&-'
  writeFileSync(join(app, 'dist/main.js'), 'require("fs").writeFileSync(process.env.HOME + "/started", "")')
  expect(start(['/bin/sh', '-c', script, join(app, 'entrypoint.sh')])).toEqual({
    code: 0,
    stdout: '',
    stderr: '',
  })
  expect(start(['/bin/ls', root]).stdout).toContain('started')
})

test('a missing server ends in 127 and one line', () => {
  rmSync(join(app, 'dist'), { recursive: true })
  expect(start([join(app, 'entrypoint.sh')])).toEqual({
    code: 127,
    stdout: '',
    stderr: 'entrypoint.sh: dist/main.js is neither beside this file nor in /app (npm run build makes it)\n',
  })
})

test('the node of PATH is the one that runs, with the arguments behind serve', () => {
  const tools = join(root, 'tools')
  mkdirSync(tools)
  writeFileSync(join(tools, 'node'), '#!/bin/sh\nprintf "%s\\n" "$@"\n')
  chmodSync(join(tools, 'node'), 0o755)
  expect(start(['/bin/sh', join(app, 'entrypoint.sh'), 'x'], { PATH: tools }).stdout).toBe(
    `--no-sparkplug\n${join(app, 'dist/main.js')}\nserve\nx\n`,
  )
})
