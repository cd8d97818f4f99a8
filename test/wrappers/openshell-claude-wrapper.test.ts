import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type Finished, readPairs, run, WRAPPERS } from './shell-run.ts'

const NAME = 'openshell-claude-wrapper.sh'
const SDK = 'node_modules/@anthropic-ai/claude-agent-sdk-linux'
const DONE = '{"hasCompletedOnboarding":true}\n'

let root = ''
let app = ''
let home = ''

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'agui wrapper '))
  app = join(root, 'an app')
  home = join(root, 'home')
  mkdirSync(home)
  cpSync(WRAPPERS, join(app, 'wrappers'), { recursive: true })
})

afterEach(() => {
  rmSync(root, { recursive: true, force: true })
})

/** A stand-in for Claude Code that says which one it is and what it was given. */
function install(path: string, script = 'printf "%s\\n" "$0" "$@"'): string {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
  return path
}

const wrapper = (): string => join(app, 'wrappers', NAME)

const start = (
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd?: string,
): Finished =>
  run(command, { env: { PATH: '/usr/bin:/bin', HOME: home, ...env }, ...(cwd !== undefined && { cwd }) })

describe('the binary', () => {
  test('is what CLAUDE_CLI_PATH names, before every other', () => {
    install(join(app, 'bin/claude'))
    const named = install(join(root, 'my claude'))
    expect(start([wrapper(), 'x'], { CLAUDE_CLI_PATH: named })).toEqual({
      code: 0,
      stdout: `${named}\nx\n`,
      stderr: '',
    })
  })

  test('may be a program in PATH', () => {
    const named = install(join(root, 'tools/claude-next'))
    const env = { CLAUDE_CLI_PATH: 'claude-next', PATH: `${dirname(named)}:/usr/bin:/bin` }
    expect(start([wrapper()], env).stdout).toBe(`${named}\n`)
  })

  test('is else the one of the image, before the one of npm', () => {
    install(join(app, `${SDK}-x64/claude`))
    const own = install(join(app, 'bin/claude'))
    expect(start([wrapper()]).stdout).toBe(`${own}\n`)
  })

  test.each(['x64', 'arm64'])('is else the one npm installed for %s', (arch) => {
    const own = install(join(app, `${SDK}-${arch}/claude`))
    expect(start([wrapper()]).stdout).toBe(`${own}\n`)
  })

  test.each([
    ['x86_64', 'x64'],
    ['aarch64', 'arm64'],
  ])('is the one for %s where npm installed both', (machine, arch) => {
    for (const each of ['x64', 'arm64']) install(join(app, `${SDK}-${each}/claude`))
    install(join(root, 'tools/uname'), `echo ${machine}`)
    const { stdout } = start([wrapper()], { PATH: `${join(root, 'tools')}:/usr/bin:/bin` })
    expect(stdout).toBe(`${join(app, `${SDK}-${arch}/claude`)}\n`)
  })

  test('is found where npm put it beside this package', () => {
    cpSync(join(app, 'wrappers'), join(root, 'node_modules/agui-runner/wrappers'), { recursive: true })
    const hoisted = install(join(root, `${SDK}-x64/claude`))
    expect(start([join(root, 'node_modules/agui-runner/wrappers', NAME)]).stdout).toBe(`${hoisted}\n`)
  })

  test('that is missing ends in 127 and one line', () => {
    const done = start([wrapper()])
    expect(done).toMatchObject({ code: 127, stdout: '' })
    expect(done.stderr).toBe(
      `${NAME}: Claude Code is not installed under ${app} (run npm ci with optional dependencies, or set CLAUDE_CLI_PATH)\n`,
    )
  })

  test.each(['/nowhere/claude', 'no-such-program', '/etc/passwd', '/tmp'])(
    'that CLAUDE_CLI_PATH=%s does not name ends in 127, whatever else is installed',
    (path) => {
      install(join(app, 'bin/claude'))
      const done = start([wrapper()], { CLAUDE_CLI_PATH: path })
      expect(done).toEqual({
        code: 127,
        stdout: '',
        stderr: `${NAME}: CLAUDE_CLI_PATH (${path}) is not an executable file\n`,
      })
    },
  )
})

describe('started through a link', () => {
  test.each(['absolute', 'relative', 'chained', 'folder'])('(%s) it finds what belongs to it', (kind) => {
    const own = install(join(app, 'bin/claude'))
    const link = join(root, 'links/claude')
    mkdirSync(dirname(link))
    if (kind === 'absolute') symlinkSync(wrapper(), link)
    if (kind === 'relative') symlinkSync(`../an app/wrappers/${NAME}`, link)
    if (kind === 'chained') {
      symlinkSync(`../an app/wrappers/${NAME}`, join(root, 'links/second'))
      symlinkSync('second', link)
    }
    if (kind === 'folder') {
      symlinkSync(join(app, 'wrappers'), join(root, 'links/wrappers'))
      symlinkSync(`wrappers/${NAME}`, link)
    }
    expect(start([link, 'x'])).toEqual({ code: 0, stdout: `${own}\nx\n`, stderr: '' })
    expect(start(['/bin/sh', '-c', 'claude y'], { PATH: `${dirname(link)}:/usr/bin:/bin` }).stdout).toBe(
      `${own}\ny\n`,
    )
    expect(start(['/bin/sh', 'claude', 'z'], {}, dirname(link)).stdout).toBe(`${own}\nz\n`)
  })

  test('whose parts are missing it ends in 127 and one line', () => {
    const alone = join(root, 'claude')
    cpSync(wrapper(), alone)
    const done = start([alone])
    expect(done).toMatchObject({ code: 127, stdout: '' })
    expect(done.stderr).toMatch(/^claude: model-route\.sh and claude-start\.sh are neither .*\n$/)
  })
})

describe('started again from inside', () => {
  function linkTo(file: string): string {
    symlinkSync(file, join(root, 'claude'))
    return join(root, 'claude')
  }

  test.each([
    ['itself', () => wrapper()],
    ['a link to itself', () => linkTo(wrapper())],
    ['the file-mode wrapper', () => join(app, 'wrappers/standard-claude-wrapper.sh')],
  ])('it refuses to run %s', (_, path) => {
    const done = start([wrapper()], { CLAUDE_CLI_PATH: path() })
    expect(done).toMatchObject({ code: 127, stdout: '' })
    expect(done.stderr).toMatch(
      /^openshell-claude-wrapper\.sh: CLAUDE_CLI_PATH \(.*\) is this wrapper; .*\n$/,
    )
  })

  test.each(['exec claude "$@"', 'claude "$@"'])(
    'a binary that only leads back (%s) is noticed',
    (script) => {
      symlinkSync(wrapper(), join(root, 'claude'))
      const shim = install(join(root, 'shim'), script)
      const done = start([wrapper()], { CLAUDE_CLI_PATH: shim, PATH: `${root}:/usr/bin:/bin` })
      expect(done).toMatchObject({ code: 127, stdout: '' })
      expect(done.stderr).toBe(
        `claude: started 16 times inside itself: CLAUDE_CLI_PATH (${shim}) leads back to this wrapper\n`,
      )
    },
  )

  test('by name, from a tool, it runs Claude Code once more', () => {
    symlinkSync(wrapper(), join(root, 'claude'))
    install(
      join(app, 'bin/claude'),
      'if [ "$1" = outer ]; then claude inner; else echo "inner:$AGUI_CLAUDE_DEPTH"; fi',
    )
    const done = start([wrapper(), 'outer'], { PATH: `${root}:/usr/bin:/bin` })
    expect(done).toEqual({ code: 0, stdout: 'inner:2\n', stderr: '' })
  })

  test.each(['', 'x', '08', '-1', '99999', '1+1'])('a depth of "%s" counts as none', (depth) => {
    install(join(app, 'bin/claude'), 'echo "$AGUI_CLAUDE_DEPTH"')
    expect(start([wrapper()], { AGUI_CLAUDE_DEPTH: depth })).toEqual({ code: 0, stdout: '1\n', stderr: '' })
  })

  test('it leaves nothing behind but the onboarding state', () => {
    const temporary = join(root, 'tmp')
    mkdirSync(temporary)
    install(join(app, 'bin/claude'))
    start([wrapper()], { TMPDIR: temporary })
    expect(readdirSync(temporary)).toEqual([])
    expect(readdirSync(home)).toEqual(['.claude.json'])
  })
})

describe('the process', () => {
  test('hands every argument on as it is, and adds none', () => {
    install(join(app, 'bin/claude'), 'printf "%s\\0" "$@"')
    const argv = ['--print', '', 'a b', '"$(id)"', '*', 'line\nbreak', '--settings={"a":1}', '-']
    expect(start([wrapper(), ...argv]).stdout.split('\0')).toEqual([...argv, ''])
    expect(start([wrapper()]).stdout).toBe('\0')
  })

  test('hands stdin and the exit code on', async () => {
    install(join(app, 'bin/claude'), 'cat; exit 7')
    const child = spawn(wrapper(), {
      env: { PATH: '/usr/bin:/bin', HOME: home },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    child.stdin.end('one\ntwo\n')
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    expect(await once(child, 'close')).toEqual([7, null])
    expect(Buffer.concat(chunks).toString()).toBe('one\ntwo\n')
  })

  test('is Claude Code itself, so that signals reach it', async () => {
    install(
      join(app, 'bin/claude'),
      'trap "echo stopped; exit 3" TERM; echo "$$"; while read -r line; do :; done',
    )
    const child = spawn(wrapper(), {
      env: { PATH: '/usr/bin:/bin', HOME: home },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const [pid] = (await once(child.stdout, 'data')) as [Buffer]
    expect(Number(pid.toString())).toBe(child.pid)
    const said = once(child.stdout, 'data')
    // A shell whose trap runs at once is gone before the line comes.
    child.stdin.on('error', () => {})
    child.kill('SIGTERM')
    // The trap runs when the read returns.
    child.stdin.end('\n')
    expect(String((await said)[0])).toBe('stopped\n')
    expect(await once(child, 'close')).toEqual([3, null])
  })

  test('keeps settings that are set', () => {
    const kept = {
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '0',
      DISABLE_AUTOUPDATER: '0',
      DISABLE_TELEMETRY: '0',
      DISABLE_ERROR_REPORTING: '0',
    }
    install(join(app, 'bin/claude'), 'env -0')
    expect(readPairs(start([wrapper()], kept).stdout)).toMatchObject(kept)
  })
})

describe('the onboarding state', () => {
  const state = (): string => join(home, '.claude.json')

  beforeEach(() => {
    install(join(app, 'bin/claude'))
  })

  test('is made, readable by its owner only', () => {
    start([wrapper()])
    expect(readFileSync(state(), 'utf8')).toBe(DONE)
    expect(statSync(state()).mode & 0o777).toBe(0o600)
  })

  test('is made in CLAUDE_CONFIG_DIR when that is set, folder and all', () => {
    const config = join(root, 'deep/config')
    start([wrapper()], { CLAUDE_CONFIG_DIR: config })
    expect(readFileSync(join(config, '.claude.json'), 'utf8')).toBe(DONE)
    expect(existsSync(state())).toBe(false)
  })

  test.each(['{"mine":true}', ''])('that is there (%j) stays', (text) => {
    writeFileSync(state(), text)
    start([wrapper()])
    expect(readFileSync(state(), 'utf8')).toBe(text)
    expect(readdirSync(home)).toEqual(['.claude.json'])
  })

  test('is not written through a link that leads nowhere', () => {
    symlinkSync(join(root, 'target'), state())
    expect(start([wrapper()])).toMatchObject({ code: 0, stderr: '' })
    expect(existsSync(join(root, 'target'))).toBe(false)
  })

  test.each([
    ['is a file', () => writeFileSync(home, '')],
    ['cannot be made', () => symlinkSync('/proc/nowhere', home)],
    ['leads in a circle', () => symlinkSync(home, home)],
  ])('is left out without a word where HOME %s', (_, spoil) => {
    rmSync(home, { recursive: true })
    spoil()
    expect(start([wrapper(), 'x'])).toEqual({
      code: 0,
      stdout: `${join(app, 'bin/claude')}\nx\n`,
      stderr: '',
    })
  })

  test('is left out without a word where there is no HOME', () => {
    expect(run([wrapper(), 'x'], { env: { PATH: '/usr/bin:/bin' } })).toEqual({
      code: 0,
      stdout: `${join(app, 'bin/claude')}\nx\n`,
      stderr: '',
    })
  })

  test('is written once by many starts at the same time', async () => {
    const env = { PATH: '/usr/bin:/bin', HOME: home }
    const children = Array.from({ length: 20 }, () => spawn(wrapper(), { env, stdio: 'ignore' }))
    const codes = await Promise.all(children.map(async (child) => (await once(child, 'close'))[0]))
    expect(new Set(codes)).toEqual(new Set([0]))
    expect(readFileSync(state(), 'utf8')).toBe(DONE)
    expect(readdirSync(home)).toEqual(['.claude.json'])
  })
})
