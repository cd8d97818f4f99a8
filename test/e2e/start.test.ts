import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterEach, expect, onTestFinished, test } from 'vitest'
import { run, runInput, textOf } from '../support/client.ts'
import { type Bench, openBench } from '../support/runner.ts'

/** As on a fresh machine: nothing names a model, nothing says that this is a sandbox. */
const FRESH = Object.fromEntries(
  [
    'ANTHROPIC_BASE_URL',
    'ANTHROPIC_API_KEY',
    'ACP_OPENSHELL_INFERENCE',
    'OPENSHELL_SANDBOX',
    'HTTPS_PROXY',
    'HTTP_PROXY',
    'https_proxy',
    'http_proxy',
    'ALL_PROXY',
    'all_proxy',
    'NODE_EXTRA_CA_CERTS',
    'SSL_CERT_FILE',
  ].map((name) => [name, '']),
)

const QUICK_START = 'Think, write a file hello.txt, run a command, then answer.'

let bench: Bench
afterEach(() => bench.close())

test('npm start gives a working agent with no key and no network, and says how to try it', async () => {
  bench = await openBench()
  const runner = bench.spawn(FRESH, ['start'])
  const { url } = await runner.line(({ msg }) => msg === 'listening')
  const all = await run(String(url), runInput('demo', QUICK_START))
  const kinds = all.map(({ type }) => type)
  for (const kind of ['REASONING_MESSAGE_CONTENT', 'TOOL_CALL_RESULT', 'TEXT_MESSAGE_CONTENT'])
    expect(kinds).toContain(kind)
  expect(all.at(-1)).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'success' } })
  expect(textOf(all)).toContain('hello.txt')
  expect(readFileSync(join(bench.workspace, 'hello.txt'), 'utf8')).toContain('Hello')
  const [, said = ''] =
    runner.stderr().match(/curl -N \S+ -H 'content-type: application\/json' -d '(.+)'/) ?? []
  expect(runner.stderr()).toContain(`curl -N ${url}`)
  // As it is printed it shows AG-UI 1.0, and works on a thread that is new.
  const [shown] = await run(String(url), { ...JSON.parse(said), threadId: 'as printed' })
  expect(shown).toMatchObject({ protocolVersion: '1.0', input: { messages: [{ content: QUICK_START }] } })
  const readme = readFileSync('README.md', 'utf8')
  expect(readme).toContain(QUICK_START)
  expect(await runner.stop()).toBe(0)
})

test('the mock edge of npm start answers other CONNECTs by the policy', async () => {
  bench = await openBench()
  const runner = bench.spawn(FRESH, ['start'])
  const route = await runner.line(({ msg }) => msg === 'model route')
  const { hostname, port } = new URL(String(route['proxyUrl']))
  const socket = connect(Number(port), hostname)
  socket.write(
    'CONNECT not-in-the-policy.example:443 HTTP/1.1\r\nhost: not-in-the-policy.example:443\r\n\r\n',
  )
  let text = ''
  for await (const chunk of socket) text += chunk
  expect(text).toContain('403')
  expect(text).toContain('policy_denied')
  expect(text).not.toContain('no policy')
})

test('start --mock wins over a route that the environment names', async () => {
  bench = await openBench()
  const runner = bench.spawn({ ...FRESH, ANTHROPIC_API_KEY: 'not-to-be-used' }, ['start', '--mock'])
  const route = await runner.line(({ msg }) => msg === 'model route')
  expect(route).toMatchObject({ kind: 'gateway', baseUrl: 'https://inference.local' })
})

/** Of bsdutils, which Debian cannot be without: runs a command on a terminal of its own. */
const SCRIPT = '/usr/bin/script'

test.runIf(existsSync(SCRIPT))('on a terminal the log is for a person to read', async () => {
  bench = await openBench()
  const env = {
    PATH: process.env['PATH'],
    HOME: bench.home,
    TMPDIR: bench.directory,
    AGUI_PORT: '0',
    WORKSPACE_PATH: bench.workspace,
    RUNNER_STATE_DIR: bench.state,
    OPENSHELL_SANDBOX: '1',
    ...bench.gateway.environment,
  }
  const command = `exec ${process.execPath} ${new URL('../../dist/main.js', import.meta.url).pathname} serve`
  const terminal = spawn(SCRIPT, ['-qec', command, '/dev/null'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(terminal, 'exit')
  onTestFinished(() => void terminal.kill())
  let said = ''
  let isAsked = false
  for await (const piece of terminal.stdout.setEncoding('utf8')) {
    said += piece
    const pid = /INFO \((\d+)\): listening\s+url: "http:/.exec(said)?.[1]
    if (pid === undefined || isAsked) continue
    isAsked = true
    process.kill(Number(pid), 'SIGTERM')
  }
  expect(said).toMatch(/http:\/\/127\.0\.0\.1:\d+/)
  expect(said).not.toContain('{"level"')
  expect(await ended).toEqual([0, null])
})
