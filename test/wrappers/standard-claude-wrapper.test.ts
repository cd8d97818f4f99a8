import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Finished, run, WRAPPERS } from './shell-run.ts'

const NAME = 'standard-claude-wrapper.sh'

let root = ''
let app = ''
let tools = ''
let calls = ''

/** Stands in for the supervisor: tells its version, else records its command line and runs what follows `--`. */
const SUPERVISOR = `
if [ "$1" = --version ]; then echo "\${VERSION_TEXT-openshell-sandbox 0.0.56}"; exit; fi
printf 'openshell-sandbox' >>"$CALLS"
printf ' [%s]' "$@" >>"$CALLS"
echo >>"$CALLS"
while [ "$1" != -- ]; do shift; done
shift
export OPENSHELL_SANDBOX=1 HTTPS_PROXY=http://10.200.0.1:3128
exec "$@"`

const RECORD = 'echo "$(basename "$0") $*" >>"$CALLS"'

/** Stands in for iproute2: NAMESPACES is what it lists, PIDS what it finds in sandbox-live. */
const IP = `
case "$*" in
  'netns list') printf '%b' "$NAMESPACES"; exit ;;
  'netns pids sandbox-live') echo "$PIDS"; exit ;;
  'netns pids '*) exit ;;
esac
${RECORD}`

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'agui standard ')))
  app = join(root, 'app')
  tools = join(root, 'tools')
  calls = join(root, 'calls')
  cpSync(WRAPPERS, join(app, 'wrappers'), { recursive: true })
  mkdirSync(join(root, 'home'))
  writeFileSync(join(root, 'policy.rego'), '')
  writeFileSync(join(root, 'policy.yaml'), '')
  writeFileSync(calls, '')
  install(join(app, 'bin/claude'), 'echo "claude[$#] $* $ANTHROPIC_BASE_URL $CLAUDE_CLI_PATH"')
  install(join(tools, 'openshell-sandbox'), SUPERVISOR)
  install(join(tools, 'ip'), IP)
  install(join(tools, 'mount'), RECORD)
  install(join(tools, 'sysctl'), RECORD)
})

afterEach(() => {
  rmSync(root, { recursive: true, force: true })
})

function install(path: string, script: string): string {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
  return path
}

function start(
  env: Readonly<Record<string, string>> = {},
  argv: readonly string[] = ['-p', 'a b'],
): Finished {
  const full = {
    PATH: `${tools}:/usr/bin:/bin`,
    HOME: join(root, 'home'),
    CALLS: calls,
    ACP_OPENSHELL_INFERENCE: '1',
    OPENSHELL_ENABLED: 'true',
    OPENSHELL_POLICY_RULES: join(root, 'policy.rego'),
    OPENSHELL_POLICY_DATA: join(root, 'policy.yaml'),
    ...env,
  }
  return run([join(app, 'wrappers', NAME), ...argv], { env: full, cwd: root })
}

const called = (): string[] => readFileSync(calls, 'utf8').split('\n').slice(0, -1)

const TUNING = [
  'mount -o remount,rw /proc/sys',
  'sysctl -q -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0',
]

const supervised = (level = 'warn', argv = '[-p] [a b]'): string =>
  `openshell-sandbox [--policy-rules] [${root}/policy.rego] [--policy-data] [${root}/policy.yaml] ` +
  `[--log-level] [${level}] [--workdir] [${root}] [--] [${app}/wrappers/openshell-claude-wrapper.sh] ${argv}`

describe('switched on', () => {
  test.each(['true', 'TRUE', '1', 'yes'])(
    'by OPENSHELL_ENABLED=%s, Claude Code runs under the supervisor',
    (value) => {
      expect(start({ OPENSHELL_ENABLED: value })).toEqual({
        code: 0,
        stdout: `claude[2] -p a b https://inference.local ${app}/bin/claude\n`,
        stderr: '',
      })
      expect(called()).toEqual([...TUNING, supervised()])
    },
  )

  test('it hands on the level of the log', () => {
    start({ OPENSHELL_LOG_LEVEL: 'debug' })
    expect(called()).toEqual([...TUNING, supervised('debug')])
  })

  test('it names files and binaries by their canonical paths', () => {
    mkdirSync(join(root, 'links'))
    const link = (name: string, target: string): string => {
      symlinkSync(target, join(root, 'links', name))
      return join(root, 'links', name)
    }
    link('app', '../app')
    const done = start({
      OPENSHELL_POLICY_RULES: link('rules', '../policy.rego'),
      OPENSHELL_POLICY_DATA: link('second', link('data', join(root, 'policy.yaml'))),
      CLAUDE_CLI_PATH: link('claude', 'app/bin/claude'),
    })
    expect(done).toMatchObject({
      code: 0,
      stdout: `claude[2] -p a b https://inference.local ${app}/bin/claude\n`,
    })
    expect(called()).toEqual([...TUNING, supervised()])
  })

  test('a relative policy path becomes an absolute one', () => {
    start({ OPENSHELL_POLICY_RULES: 'policy.rego', OPENSHELL_POLICY_DATA: './policy.yaml' })
    expect(called()).toEqual([...TUNING, supervised()])
  })

  test('stdin, stdout and the exit code are those of Claude Code', async () => {
    install(join(app, 'bin/claude'), 'cat; exit 7')
    const env = {
      PATH: `${tools}:/usr/bin:/bin`,
      HOME: join(root, 'home'),
      CALLS: calls,
      OPENSHELL_ENABLED: '1',
      OPENSHELL_POLICY_RULES: join(root, 'policy.rego'),
      OPENSHELL_POLICY_DATA: join(root, 'policy.yaml'),
    }
    const child = spawn(join(app, 'wrappers', NAME), { env, stdio: ['pipe', 'pipe', 'inherit'] })
    child.stdin.end('{"type":"user"}\n')
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    expect(await once(child, 'close')).toEqual([7, null])
    expect(Buffer.concat(chunks).toString()).toBe('{"type":"user"}\n')
  })

  test('inside a sandbox it starts no second one', () => {
    expect(start({ OPENSHELL_SANDBOX: '1' }).stdout).toBe('claude[2] -p a b https://inference.local \n')
    expect(called()).toEqual([])
  })
})

describe('switched off', () => {
  test.each(['', 'false', '0', 'no'])('by OPENSHELL_ENABLED="%s", it is Claude Code', (value) => {
    expect(start({ OPENSHELL_ENABLED: value })).toEqual({
      code: 0,
      stdout: 'claude[2] -p a b https://inference.local \n',
      stderr: '',
    })
    expect(called()).toEqual([])
  })
})

describe('a namespace that is left over', () => {
  test('goes, with its link, before the supervisor starts; others stay', () => {
    start({ NAMESPACES: 'sandbox-0a1b2c3d (id: 0)\nother\nsandbox-ffffffff\n' })
    expect(called()).toEqual([
      'ip link delete veth-h-0a1b2c3d',
      'ip netns delete sandbox-0a1b2c3d',
      'ip link delete veth-h-ffffffff',
      'ip netns delete sandbox-ffffffff',
      ...TUNING,
      supervised(),
    ])
  })

  test('goes also when something orphaned lives on in it', () => {
    start({ NAMESPACES: 'sandbox-live\n', PIDS: String(process.pid) })
    expect(called()).toEqual([
      'ip link delete veth-h-live',
      'ip netns delete sandbox-live',
      ...TUNING,
      supervised(),
    ])
  })

  test('is not left over while its supervisor lives: then nothing is started or deleted', async () => {
    install(join(tools, 'openshell-sandbox-stub/openshell-sandbox'), 'sh -c \'echo "$$"; read -r line\'\n:')
    const stub = join(tools, 'openshell-sandbox-stub/openshell-sandbox')
    const supervisor = spawn(stub, { env: { PATH: '/usr/bin:/bin' }, stdio: ['pipe', 'pipe', 'inherit'] })
    const [pid] = (await once(supervisor.stdout, 'data')) as [Buffer]
    const done = start({ NAMESPACES: 'sandbox-live\n', PIDS: pid.toString().trim() })
    supervisor.stdin.end('\n')
    await once(supervisor, 'close')
    expect(done).toEqual({
      code: 126,
      stdout: '',
      stderr: `${NAME}: an openshell-sandbox runs already (network namespace sandbox-live); there can be one at a time\n`,
    })
    expect(called()).toEqual([])
  })

  test('does not matter where there is no ip command, nor mount or sysctl that may', () => {
    for (const tool of ['ip', 'mount', 'sysctl']) install(join(tools, tool), 'echo no >&2; exit 1')
    expect(start()).toMatchObject({ code: 0, stderr: '' })
    expect(called()).toEqual([supervised()])
  })
})

describe('the version of the supervisor', () => {
  test.each(['openshell-sandbox 0.0.110', 'openshell-sandbox 0.0.30-dev.2+gabc1234', 'v0.0.9'])(
    '%s is taken',
    (text) => {
      expect(start({ VERSION_TEXT: text })).toMatchObject({ code: 0, stderr: '' })
    },
  )

  test.each([
    ['openshell-sandbox 0.0.111', '0.0.111'],
    ['openshell-sandbox 0.0.111-dev.1+g0', '0.0.111'],
    ['openshell-sandbox 0.1.0', '0.1.0'],
    ['openshell-sandbox 1.0.1', '1.0.1'],
  ])('%s is refused with the reason', (text, version) => {
    expect(start({ VERSION_TEXT: text })).toEqual({
      code: 126,
      stdout: '',
      stderr: `${NAME}: openshell-sandbox ${version} is not supported in file mode, at most 0.0.110 is: newer ones do not pass stdin and stdout on\n`,
    })
    expect(called()).toEqual([])
  })

  test.each(['', 'openshell-sandbox unknown', '7'])(
    'that it does not tell ("%s") is said, and tried',
    (text) => {
      expect(start({ VERSION_TEXT: text })).toMatchObject({
        code: 0,
        stderr: `${NAME}: openshell-sandbox does not tell its version; supported is up to 0.0.110\n`,
      })
    },
  )
})

describe('what is missing is named in one line, and nothing starts', () => {
  test.each([
    [
      { OPENSHELL_POLICY_RULES: '' },
      2,
      'OPENSHELL_ENABLED is set, but OPENSHELL_POLICY_RULES is not: it has to name the policy file',
    ],
    [
      { OPENSHELL_POLICY_DATA: '' },
      2,
      'OPENSHELL_ENABLED is set, but OPENSHELL_POLICY_DATA is not: it has to name the policy file',
    ],
    [
      { OPENSHELL_POLICY_DATA: '/nowhere.yaml' },
      2,
      'OPENSHELL_POLICY_DATA (/nowhere.yaml) is not a readable file',
    ],
    [{ OPENSHELL_POLICY_RULES: '/tmp' }, 2, 'OPENSHELL_POLICY_RULES (/tmp) is not a readable file'],
    [{ CLAUDE_CLI_PATH: '/nowhere' }, 127, 'CLAUDE_CLI_PATH (/nowhere) is not an executable file'],
    [{ PATH: '/usr/bin:/bin' }, 127, 'OPENSHELL_ENABLED is set, but there is no openshell-sandbox in PATH'],
  ])('%j', (env, code, message) => {
    expect(start(env)).toEqual({ code, stdout: '', stderr: `${NAME}: ${message}\n` })
    expect(called()).toEqual([])
  })
})
