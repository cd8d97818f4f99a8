// `run`, `launch` and `sweep` against a real dockerd in a folder of its own.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { INSIDE } from '../../src/launch/plan.ts'
import type { Script } from '../../src/mock/script.ts'
import { ALL_CONTAINERS } from '../support/containers.ts'
import { whyNoEngine } from '../support/engine.ts'
import { attackScript, executed, gitNames, lay } from '../support/git-attacks.ts'
import { KEY, type Outside, openOutside } from '../support/outside.ts'
import { ACTION_RULES, actionCases } from '../support/outside-action.ts'
import { brokenCases } from '../support/outside-broken.ts'
import { cloudCases } from '../support/outside-clouds.ts'
import { parallelCases } from '../support/outside-parallel.ts'
import { PUSH_RULES, pushCases } from '../support/outside-push.ts'
import { searchCases } from '../support/outside-search.ts'

/** Everything that the agent can read of its place, in one command. */
const PROBE = [
  'echo links=$(cut -d: -f1 /proc/net/dev | sed 1,2d | tr -d " \\n")',
  'echo routes=$(sed 1d /proc/net/route | wc -l)',
  "echo direct=$(curl -s --noproxy '*' -m 2 -o /dev/null http://192.0.2.1/ && echo yes || echo no)",
  '(env; cat /proc/[0-9]*/environ; ls -R /run/agui-runner; cat /proc/mounts) >seen 2>/dev/null',
  'echo caps=$(grep CapBnd /proc/self/status | cut -f2)',
  'echo root=$(touch /probe 2>/dev/null && echo open || echo shut)',
].join('; ')
const COMMIT =
  'git config user.name a && git config user.email a@example.org && echo new >new.txt && git add new.txt && git commit -qm "by the agent" && git log -1 --format=%s'

/** What the host would execute, or believe, when it next runs git there. */
const TAMPER = [
  'mv .git x 2>/dev/null && echo moved',
  'echo evil >.git/hooks/post-checkout && echo hooked',
  'git config core.fsmonitor evil && echo configured',
  // What goes before a fetch in CI: a header with the token.
  'grep -r extraheader .git && echo read',
  'git add new.txt && git -c user.name=a -c user.email=a@example.org commit -qm mounted && git log -1 --format=%s',
  'sh attack.sh >/dev/null || true',
].join('; ')

const SCRIPT: Script = {
  rules: [
    ...PUSH_RULES,
    ...ACTION_RULES,
    { when: { prompt: 'probe', round: 0 }, reply: [{ tool: 'Bash', input: { command: PROBE } }] },
    { when: { prompt: 'commit', round: 0 }, reply: [{ tool: 'Bash', input: { command: COMMIT } }] },
    {
      when: { prompt: 'tamper', round: 0 },
      reply: [{ tool: 'Bash', input: { command: `exec 2>/dev/null; echo >new.txt; ${TAMPER}` } }],
    },
    { when: { prompt: 'slow' }, reply: [{ text: 'one' }, { hang: true }] },
    { when: { result: { matches: '.*' } }, reply: '{{result}}' },
    { reply: 'You said: {{prompt}}' },
  ],
}

const reason = whyNoEngine()
// A skip is a failure in CI: there it runs, and fails by the reason.
const skipped = reason !== undefined && process.env['CI'] !== 'true'

describe.skipIf(skipped)(`in a container${reason === undefined ? '' : ` (${reason})`}`, () => {
  let outside: Outside
  beforeAll(async () => {
    outside = await openOutside(SCRIPT)
  }, 120_000)
  afterAll(() => outside?.close(), 60_000)
  afterEach(async () => {
    await outside.stop()
    expect(outside.left()).toEqual([])
  }, 60_000)

  brokenCases(() => outside)
  searchCases(() => outside)
  describe.runIf(ALL_CONTAINERS)('the whole', () => {
    actionCases(() => outside)
    pushCases(() => outside)
    cloudCases(() => outside)
    parallelCases(() => outside)
  })

  test('private: no network, no key anywhere, no right to change the system; the broker puts the key in', async () => {
    const { code, stdout, stderr } = await outside.run(['--workspace', 'mount', '--json', '-p', 'probe'])
    expect([code, stderr]).toEqual([0, expect.stringContaining('private: the visibility')])
    const { text } = JSON.parse(stdout)
    expect(text.split('\n')).toEqual([
      ...['links=lo', 'routes=0', 'direct=no', 'caps=0000000000000000', 'root=shut'],
    ])
    const seen = readFileSync(join(outside.bench.workspace, 'seen'), 'utf8')
    expect([seen.includes('AGUI_LAUNCH=private'), seen.includes(KEY)]).toEqual([true, false])
    const asked = outside.bench.gateway.requests.filter(({ path }) => path.startsWith('/v1/messages'))
    expect(new Set(asked.map(({ headers }) => headers['x-api-key']))).toEqual(new Set([KEY]))
  })

  test.runIf(ALL_CONTAINERS)(
    'a clone: what was committed comes back as a ref, and the checkout is as it was',
    async () => {
      const source = join(outside.bench.workspace, 'checkout')
      mkdirSync(source)
      const git = (...args: string[]): string =>
        execFileSync(
          'git',
          [
            '-c',
            'user.name=t',
            '-c',
            'user.email=t@example.org',
            '-c',
            'safe.directory=*',
            '-C',
            source,
            ...args,
          ],
          {
            encoding: 'utf8',
          },
        ).trim()
      git('init', '-q', '-b', 'main')
      writeFileSync(join(source, 'file'), 'one\n')
      git('add', '.')
      git('commit', '-qm', 'first')
      git('config', 'http.extraheader', `AUTHORIZATION: basic ${KEY}`)
      const { code, stderr } = await outside.run(['-p', 'commit'], { cwd: source })
      expect(code).toBe(0)
      const ref = /what was committed is (\S+)/.exec(stderr)?.[1] ?? ''
      expect(git('log', '--format=%s', ref).split('\n')).toEqual(['by the agent', 'first'])
      expect([git('status', '--porcelain'), existsSync(join(source, 'new.txt'))]).toEqual(['', false])
    },
  )

  const MOUNTED =
    'a mounted folder: commits are made in it, and nothing that is left in it is executed by git outside'
  test.runIf(ALL_CONTAINERS)(MOUNTED, { timeout: 90_000 }, async () => {
    const world = join(outside.bench.directory, 'mounted')
    const source = join(world, 'workspace')
    const before = lay(source, world)
    writeFileSync(join(source, 'attack.sh'), attackScript(source, INSIDE.workspace))
    const git = (...args: string[]): string =>
      execFileSync('git', ['-c', 'safe.directory=*', '-C', source, ...args], { encoding: 'utf8' }).trim()
    git('init', '-q', '-b', 'main')
    git('config', 'http.extraheader', `AUTHORIZATION: basic ${KEY}`)
    const config = readFileSync(join(source, '.git/config'), 'utf8')
    execFileSync('chown', ['-R', '10001:0', source])
    const { code, stdout } = await outside.run(['--workspace', 'mount', '-p', 'tamper'], { cwd: source })
    expect([code, stdout]).toEqual([0, 'mounted\n'])
    expect(executed(source, world)).toEqual([])
    for (const [name, names] of before) expect([name, gitNames(source, name)]).toEqual([name, names])
    expect([git('log', '--format=%s'), readFileSync(join(source, '.git/config'), 'utf8')]).toEqual([
      'mounted',
      config,
    ])
    expect(existsSync(join(source, '.git/hooks/post-checkout'))).toBe(false)
  })

  test.runIf(ALL_CONTAINERS)('SIGINT: the run is cancelled, and nothing is left', async () => {
    const started = outside.start(['--workspace', 'none', '-p', 'slow'])
    await started.has('stdout', 'one')
    started.child.kill('SIGINT')
    expect(await started.exited).toBe(4)
  })

  test.runIf(ALL_CONTAINERS)(
    'public: a network of its own; a container that ends by itself is 6, with its last lines',
    async () => {
      const started = outside.start(['--mode', 'public', '--workspace', 'none', '-p', 'slow'])
      await started.has('stdout', 'one')
      expect(outside.engine.docker('network', 'ls', '--filter', 'label=agui-runner.run', '--quiet')).toMatch(
        /^\w+$/,
      )
      outside.engine.docker('kill', outside.engine.docker('ps', '--quiet'))
      expect(await started.exited).toBe(6)
      expect(started.stderr()).toMatch(/ended by itself \(137\)\. Its last lines:\n\{"level"/)
    },
  )

  test('an image that cannot start and an engine that is not there are 6; an image that is not there is 2', async () => {
    const empty = `tar -c -T /dev/null | docker --host ${outside.engine.host} import - agui-runner:empty`
    execFileSync('bash', ['-c', empty], { stdio: 'ignore' })
    const [broken, none, missing] = await Promise.all([
      outside.run(['--image', 'agui-runner:empty', '--workspace', 'none', '-p', 'x']),
      outside.run(['--workspace', 'none', '-p', 'x'], {
        env: { DOCKER_HOST: 'unix:///nowhere/docker.sock' },
      }),
      outside.run(['--image', 'localhost:9/agui-runner:0', '--workspace', 'none', '-p', 'x']),
    ])
    expect(broken).toMatchObject({ code: 6, stderr: expect.stringContaining('ended by itself (127)') })
    expect(none).toMatchObject({ code: 6, stderr: expect.stringContaining('No container engine answers') })
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining('cannot be pulled') })
  })

  test('--dry-run prints the plan and the arguments, without the key, and makes nothing', async () => {
    const { code, stdout } = await outside.run([
      '--dry-run',
      '--mode',
      'public',
      '--workspace',
      'none',
      '-p',
      'x',
    ])
    expect(code).toBe(0)
    const { plan, argv } = JSON.parse(stdout)
    expect([plan.mode, plan.network.kind]).toEqual(['public', 'own'])
    expect(argv.map(([, ...args]: string[]) => args[0])).toEqual(['network', 'create', 'start'])
    expect(stdout).not.toContain(KEY)
  })
})
