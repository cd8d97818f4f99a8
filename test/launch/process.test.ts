// `run` and `launch` without an engine: the runner in namespaces of this machine.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { processes, withDescendants } from '../../src/process-table.ts'
import { KEY, type Launchers, launchersOn } from '../support/outside.ts'
import { PUSH_RULES, pushCases } from '../support/outside-push.ts'
import { pidOf, readProcess } from '../support/processes.ts'
import { type Bench, openBench } from '../support/runner.ts'

const isRoot = process.getuid?.() === 0
/** The image's, and somebody else who has nothing to do with root. */
const SANDBOX = { uid: 10001, gid: 0 }
const SOMEBODY = { uid: 12345, gid: 12345 }

/** Everything that the agent can read of its place, in one command. */
const PROBE = [
  'echo links=$(cut -d: -f1 /proc/net/dev | sed 1,2d | tr -d " \\n")',
  "echo direct=$(curl -s --noproxy '*' -m 2 -o /dev/null http://192.0.2.1/ && echo yes || echo no)",
  'echo policy=$(curl -s -m 9 -o /dev/null -w "%{http_code}" http://192.0.2.1/)',
  'echo caps=$(grep -E "CapBnd|CapEff" /proc/self/status | cut -f2 | sort -u)',
  'echo root=$(touch /probe 2>/dev/null && echo open || echo shut)',
  'echo namespaces=$(unshare --user true 2>/dev/null && echo new || echo none)',
  'echo homes=$(ls -d /home /root /etc/shadow 2>/dev/null | wc -l)',
  '(env; cat /proc/[0-9]*/environ; cat /proc/mounts) >seen 2>/dev/null',
  'ls -d /proc/[0-9]* | wc -l >processes',
  // The pattern comes with what is searched, as a file of one half: what looks for it does not show it.
  'sed s/-part-// half >pattern; echo files=$(grep -rslaF -f pattern /run /sandbox/.runner /etc /runner /app/dist /app/wrappers /tmp | wc -l)',
].join('; ')

let bench: Bench
let shims: string

beforeAll(async () => {
  bench = await openBench({
    script: {
      rules: [
        ...PUSH_RULES,
        { when: { prompt: 'probe', round: 0 }, reply: [{ tool: 'Bash', input: { command: PROBE } }] },
        { when: { result: { matches: '.*' } }, reply: '{{result}}' },
        { reply: 'You said: {{prompt}}' },
      ],
    },
  })
  // As on a machine whose engines are there and do not run.
  shims = join(bench.directory, 'shims')
  mkdirSync(shims)
  for (const name of ['docker', 'podman']) {
    writeFileSync(join(shims, name), '#!/bin/sh\necho "no daemon" >&2; exit 1\n')
    chmodSync(join(shims, name), 0o755)
  }
})
afterAll(() => bench.close())

const left = (): string[] => readdirSync(bench.directory).filter((name) => name.startsWith('agui-launch-'))

function launchers(user?: { uid: number; gid: number }): Launchers {
  if (isRoot) {
    // The workspace is its user's, as is what a launch makes.
    execFileSync('chown', [
      '-R',
      `${(user ?? SANDBOX).uid}:${(user ?? SANDBOX).gid}`,
      bench.workspace,
      bench.home,
    ])
    chownSync(bench.directory, user?.uid ?? 0, user?.gid ?? 0)
  }
  const env = { PATH: `${shims}:${process.env['PATH']}` }
  return launchersOn(bench, { env, args: [], ...(user && { user }) })
}

describe.each([['this user', undefined], ...(isRoot ? [['somebody else', SOMEBODY] as const] : [])] as const)(
  'as %s',
  (_name, user) => {
    test('where no engine answers: no network, no key anywhere, the policy holds, nothing is left', async () => {
      const { run } = launchers(user)
      writeFileSync(join(bench.workspace, 'half'), `${KEY.slice(0, 9)}-part-${KEY.slice(9)}`)
      const { code, stdout, stderr } = await run([
        ...['--json', '--workspace', 'mount', '--image', 'not:there', '-p', 'probe'],
      ])
      expect([code, stderr]).toEqual([
        0,
        expect.stringMatching(
          /process: No container engine answers \(docker: no daemon; podman: no daemon\)\. So it has no limit on memory[\s\S]*private: a process has no network/,
        ),
      ])
      expect(JSON.parse(stdout).text.split('\n')).toEqual([
        ...['links=lo', 'direct=no', 'policy=403', 'caps=0000000000000000', 'root=shut', 'namespaces=none'],
        ...['homes=0', 'files=0'],
      ])
      const read = (name: string): string => readFileSync(join(bench.workspace, name), 'utf8')
      expect(read('pattern')).toBe(KEY)
      expect([read('seen').includes('AGUI_LAUNCH=private'), read('seen').includes(KEY)]).toEqual([
        true,
        false,
      ])
      expect(Number(read('processes'))).toBeLessThan(20)
      const asked = bench.gateway.requests.filter(({ path }) => path.startsWith('/v1/messages'))
      expect(new Set(asked.map(({ headers }) => headers['x-api-key']))).toEqual(new Set([KEY]))
      expect(left()).toEqual([])
    }, 60_000)
  },
)

describe('the same as in a container', () => {
  pushCases(() => launchers())
})

describe('a launch', () => {
  let outside: Launchers
  beforeAll(() => {
    outside = launchers()
  })
  afterEach(() => outside.stop())

  const open = async () => {
    const launched = outside.start(['--isolation', 'process', '--workspace', 'none'], { command: 'launch' })
    await launched.has('stdout', '\n')
    const { socket } = JSON.parse(launched.stdout())
    // It is open as long as the runner lives.
    const connection = connect(socket)
    await once(connection, 'connect')
    connection.on('error', () => undefined)
    return { launched, gone: new Promise((resolve) => connection.once('close', resolve)) }
  }
  /** The runner inside, by the name that it has there. */
  const runnerOf = (pid: number | undefined): number =>
    pidOf(
      [...withDescendants(processes(), [pidOf(pid)])].find((one) =>
        /^node (--\S+ )*\/app\/dist\/main\.js serve /.test(readProcess(one, 'cmdline')),
      ),
    )

  test('ends at a signal in good order', async () => {
    const { launched, gone } = await open()
    launched.child.kill('SIGTERM')
    expect([await launched.exited, left()]).toEqual([0, []])
    await gone
  }, 60_000)

  test('whose runner ends by itself is 6, with its last lines', async () => {
    const { launched } = await open()
    process.kill(runnerOf(launched.child.pid), 'SIGKILL')
    expect([await launched.exited, left()]).toEqual([6, []])
    expect(launched.stderr()).toMatch(/The process ended by itself \(137\)\. Its last lines:\n\{"level"/)
  }, 60_000)

  test('that is killed takes all of its processes with it, and sweep the rest', async () => {
    const { launched, gone } = await open()
    const inside = [...withDescendants(processes(), [pidOf(launched.child.pid)])]
    expect(inside.length).toBeGreaterThan(3)
    launched.child.kill('SIGKILL')
    await Promise.all([launched.exited, gone])
    const [name = ''] = left()
    const folder = join(bench.directory, name)
    expect(filesBelow(folder).filter((file) => readFileSync(file, 'latin1').includes(KEY))).toEqual([])
    const swept = await outside.run([], { command: 'sweep' })
    expect(swept).toEqual({
      code: 0,
      stdout: `folder ${folder}\n`,
      stderr: expect.stringContaining('No container engine answers'),
    })
    expect(left()).toEqual([])
  }, 60_000)

  test('says nothing that a terminal would obey, neither in its error nor when it is swept', async () => {
    const folder = join(bench.directory, 'agui-launch-\u001b[2J\nfolder ')
    mkdirSync(folder)
    writeFileSync(
      join(folder, 'launch.json'),
      JSON.stringify({ run: 'x', pid: 4_194_305, started: '1', startedAt: 0 }),
    )
    // Nor is an engine waited for that is not there.
    const env = { PATH: '/nowhere' }
    const { stdout, stderr } = await outside.run([], { command: 'sweep', env })
    expect(stderr).toContain('docker: spawn docker ENOENT; podman: spawn podman ENOENT')
    expect(stdout).toBe(`folder ${bench.directory}/agui-launch-\ufffd[2J\ufffdfolder \n`)
    const args = ['--isolation', 'process', '--workspace', 'none', '--policy', '\u001b[2J']
    const refused = await outside.run(args, { command: 'launch' })
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('\ufffd[2J')])
  })

  test('that cannot be is refused with one sentence: an open network, an engine that was named, no model', async () => {
    const refused = await outside.run([
      ...['--isolation', 'process', '--workspace', 'none', '--mode', 'public', '-p', 'x'],
    ])
    expect(refused).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('a process has no network of its own'),
    })
    const infinite = await outside.run(['--memory', 'Infinity', '--dry-run', '-p', 'x'])
    expect(infinite).toMatchObject({ code: 2, stderr: expect.stringContaining('Give GiB, such as 4 or 0.5') })
    const latest = await outside.run(['--image', 'agui-runner:latest', '--dry-run', '-p', 'x'])
    expect(latest).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Give an exact tag, not latest'),
    })
    const unused = await outside.run(['--isolation', 'process', '--memory', '4', '--dry-run', '-p', 'x'])
    expect(unused).toMatchObject({ code: 2, stderr: expect.stringContaining('--memory are of a container') })
    const named = await outside.run(['--engine', 'podman', '-p', 'x'])
    expect(named).toMatchObject({ code: 6, stderr: expect.stringContaining('podman: no daemon') })
    const keyless = await outside.run(['--isolation', 'process', '--workspace', 'none', '-p', 'x'], {
      env: { ANTHROPIC_API_KEY: '', ANTHROPIC_BASE_URL: '' },
    })
    expect(keyless).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no_model_route: No model route: set ANTHROPIC_BASE_URL'),
    })
    const [unruled, homeless, unheard] = await Promise.all([
      outside.run([
        ...['--isolation', 'process', '--workspace', 'none', '--policy', 'nowhere.yaml', '--json', '-p', 'x'],
      ]),
      outside.run(['--isolation', 'process', '--workspace', 'none', '--json', '-p', 'x'], {
        env: { TMPDIR: '/nowhere' },
      }),
      outside.run([
        ...['--isolation', 'process', '--workspace', 'none', '--audit', '/proc/x/y', '--json', '-p', 'x'],
      ]),
    ])
    const codes = [unruled, homeless, unheard].map(({ code, stdout }) => [
      code,
      JSON.parse(stdout).error.code,
    ])
    expect(codes).toEqual([
      [2, 'policy_invalid'],
      [6, 'sandbox_failed'],
      [2, 'config_invalid'],
    ])
    const dry = await outside.run(['--isolation', 'process', '--workspace', 'none', '--dry-run', '-p', 'x'])
    const { plan, argv } = JSON.parse(dry.stdout)
    expect([plan.network.kind, plan.image, argv.length]).toEqual(['none', undefined, 1])
    expect(argv[0][0]).toMatch(/\/bwrap$/)
    expect(dry.stdout).not.toContain(KEY)
    expect(left()).toEqual([])
  }, 60_000)
})

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
}
