// A runner with a credential of its own: Claude Code works, and has none.
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { missingNeed } from '../sandbox/needs.ts'
import { bodyOf, type ClientEvent, run, runInput } from '../support/client.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'

/** Of this process alone: the agent searches the whole machine, on which other tests have keys as well. */
const CANARY = randomBytes(8).toString('hex')
const KEY = `sk-ant-api03-canary-${CANARY}`
/** The bench's sandbox and gateway are taken away: what is left is a direct route. */
const direct = (bench: Bench): Record<string, string> => ({
  ...Object.fromEntries(Object.keys(bench.gateway.environment).map((name) => [name, ''])),
  OPENSHELL_SANDBOX: '',
  ANTHROPIC_BASE_URL: bench.gateway.directUrl,
})

/** What is searched for is put together in a file: in what searches it would be found. */
const SEARCH = [
  `printf '%s%s' canary- ${CANARY} > "$TMPDIR/key"`,
  'env | grep -acf "$TMPDIR/key"',
  'cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | grep -acf "$TMPDIR/key"',
].join('; ')
/** Where little is: a confined agent has a /tmp of its own. */
const SEARCH_FILES = `${SEARCH}; grep -rslaf "$TMPDIR/key" --exclude=key /proc/mounts "$PWD" "$HOME" /tmp /etc 2>/dev/null | wc -l`

const SCRIPT = {
  rules: [
    {
      when: { prompt: 'search files', round: 0 },
      reply: [{ tool: 'Bash', input: { command: SEARCH_FILES } }],
    },
    { when: { prompt: 'search', round: 0 }, reply: [{ tool: 'Bash', input: { command: SEARCH } }] },
    { when: {}, reply: 'Hello' },
  ],
}

const credentialsOf = async (runner: RunnerProcess): Promise<string> => {
  const { checks } = await bodyOf(await fetch(`${runner.url}/ready`))
  expect(checks).toContainEqual({ name: 'model_route', ok: true, message: expect.stringMatching(/^yes/) })
  return checks.find(({ name }: { name: string }) => name === 'credentials').message
}

/** How often the agent finds the key: in its environment, in all that /proc shows it, and when it is asked to in mounts and files. */
async function search(runner: RunnerProcess, prompt = 'search'): Promise<string[]> {
  const all: ClientEvent[] = await run(runner.url, runInput(crypto.randomUUID(), prompt))
  expect(all.at(-1)).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'success' } })
  const result = all.find(({ type }) => type === 'TOOL_CALL_RESULT')
  return String(result?.['content']).match(/\d+/g) ?? []
}

let bench: Bench
beforeAll(async () => {
  bench = await openBench({ script: SCRIPT })
})
afterEach(() => bench.stop())
afterAll(() => bench.close())

const reason = missingNeed()

test.skipIf(reason !== undefined)(
  `a confined agent finds it nowhere (${reason ?? 'bubblewrap is here'})`,
  async () => {
    const env = { ...direct(bench), CLAUDE_CODE_OAUTH_TOKEN: KEY, POLICY_ENFORCEMENT: 'required' }
    const runner = await bench.start(env)
    expect(await search(runner, 'search files')).toEqual(['0', '0', '0'])
    const asked = bench.gateway.requests.filter(({ method }) => method === 'POST')
    expect(asked.length).toBeGreaterThan(0)
    for (const { headers } of asked) {
      expect(headers).toMatchObject({
        authorization: `Bearer ${KEY}`,
        'anthropic-beta': expect.stringContaining('oauth-2025-04-20'),
      })
    }
    expect(await credentialsOf(runner)).toBe('held outside')
    expect(await runner.stop()).toBe(0)
    expect(runner.stderr()).not.toContain(KEY)
  },
)

describe('an agent that nothing confines', () => {
  const unconfined = () => ({ ...direct(bench), POLICY_ENFORCEMENT: 'off', PERMISSION_MODE: 'ask' })
  const asked = () => bench.gateway.requests.findLast(({ method }) => method === 'POST')?.headers

  test('could read it from the runner; /ready and the log say so, and what helps', async () => {
    const runner = await bench.start({ ...unconfined(), ANTHROPIC_API_KEY: KEY })
    const said = await runner.line(({ msg }) => String(msg).startsWith('credentials: '))
    expect(said).toMatchObject({ level: 'warn', msg: expect.stringContaining('--credential-file') })
    expect(await credentialsOf(runner)).toMatch(/^readable by the agent's user \(\/proc\/\d+\/environ\): /)
    await run(runner.url, runInput('thread', 'hello'))
    expect(asked()).toMatchObject({ 'x-api-key': KEY })
    await runner.stop()
  })

  test('finds nothing to read when it came through a pipe', async () => {
    const fifo = join(bench.directory, 'credential')
    execFileSync('mkfifo', [fifo])
    const SDK_OPTIONS = JSON.stringify({ allowedTools: ['Bash'] })
    const runner = bench.spawn({ ...unconfined(), AGUI_PORT: '0', SDK_OPTIONS }, [
      'serve',
      '--credential-file',
      fifo,
    ])
    // Waits until the runner reads.
    execFileSync('sh', ['-c', `printf 'ANTHROPIC_AUTH_TOKEN=%s\\n' "$KEY" > "${fifo}"`], {
      env: { KEY, PATH: '/bin' },
    })
    const { url } = await runner.line(({ msg }) => msg === 'listening')
    const listening = { ...runner, url: String(url) }
    expect(await credentialsOf(listening)).toBe('held outside')
    expect(await search(listening)).toEqual(['0', '0'])
    expect(asked()).toMatchObject({ authorization: `Bearer ${KEY}` })
    await runner.stop()
  })

  test('has it when it was told so, and the log says so', async () => {
    const runner = await bench.start({ ...unconfined(), ANTHROPIC_API_KEY: KEY, AGUI_CREDENTIALS: 'pass' })
    const said = await runner.line(({ msg }) => String(msg).startsWith('credentials: '))
    expect(said).toMatchObject({ level: 'warn', msg: expect.stringContaining('AGUI_CREDENTIALS=pass') })
    expect(await credentialsOf(runner)).toBe("in the agent's environment: AGUI_CREDENTIALS=pass")
    await runner.stop()
  })
})

test.each([
  ['no credential', 'LD_PRELOAD=/x.so\n', /LD_PRELOAD: no credential/],
  ['nothing', '\n', /no line of the form NAME=value/],
  [
    'what the environment holds too',
    `ANTHROPIC_API_KEY=${KEY}\n`,
    /ANTHROPIC_API_KEY: set in the environment too/,
  ],
])('a credential file with %s ends the start with 2, and no value is said', async (name, text, message) => {
  const file = join(bench.directory, name.replaceAll(' ', '-'))
  writeFileSync(file, text)
  const runner = bench.spawn({ ...direct(bench), ANTHROPIC_API_KEY: 'another' }, [
    'serve',
    '--credential-file',
    file,
  ])
  expect(await runner.exited).toBe(2)
  expect(runner.stderr()).toMatch(message)
  expect(runner.stderr()).not.toContain(KEY)
})
