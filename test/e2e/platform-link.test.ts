// A session of a control plane with the real Claude Code: the prompt is a message, the runner is killed, and the follow-up is
// answered by the next one. TRANSCRIPT_FILE gets what was said.
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAuthority } from '../../src/tunnel/authority.ts'
import { ControlPlane } from '../support/control-plane.ts'
import { type Bench, openBench } from '../support/runner.ts'

const SESSION = 'managed-session'
const SCRIPT = {
  rules: [
    {
      when: { prompt: 'look', round: 0 },
      reply: [{ text: 'I look.' }, { tool: 'Bash', input: { command: 'echo seen', description: 'look' } }],
    },
    { when: { prompt: 'look' }, reply: 'It says: seen' },
    { when: { prompt: 'long' }, reply: [{ text: 'I begin.' }, { gate: 'never' }] },
    { reply: 'You said: {{prompt}}' },
  ],
}

let bench: Bench
let plane: ControlPlane
const authority = createAuthority('the control plane')
beforeAll(async () => {
  bench = await openBench({ script: SCRIPT })
  plane = new ControlPlane({ sessionId: SESSION, scheme: 'B', tls: authority.issue('localhost') })
  await plane.open()
})
afterAll(async () => {
  await bench.close()
  plane.close()
})

const ends = (): number => plane.pushed.filter(({ payload }) => payload.includes('run_finished')).length
const said = (): string[] =>
  plane.pushed.flatMap(({ type, payload }) => (type === 'assistant' ? [payload] : []))

/** As managed mode starts its runner (control-plane.md 1.7). */
const environment = (more: Record<string, string> = {}): Record<string, string> => {
  const folder = `${bench.workspace}/.acp-runtime`
  mkdirSync(folder, { recursive: true })
  writeFileSync(`${folder}/ca.pem`, authority.pem)
  return {
    ...plane.environment,
    AMBIENT_GRPC_CA_CERT_FILE: `${folder}/ca.pem`,
    AMBIENT_CP_CA_CERT_FILE: `${folder}/ca.pem`,
    ACP_MESSAGE_CURSOR_FILE: `${folder}/message-cursor.json`,
    NO_PROXY: 'localhost',
    STOP_ON_RUN_FINISHED: 'false',
    RESUME_AFTER_SEQ: '',
    SDK_OPTIONS: JSON.stringify({ system_prompt: 'QXPROJECT' }),
    ...more,
  }
}

/** As the control plane's proxy asks (control-plane.md 2.3): no Authorization, the Host that it dials. */
function proxied(url: string, method: string, path: string): Promise<{ status: number; body: string }> {
  const { port } = new URL(url)
  return new Promise((resolve, reject) => {
    const sent = request(
      { port, method, path, headers: { host: '127.0.0.1:8001', connection: 'close' } },
      (answer) => {
        let body = ''
        answer.setEncoding('utf8').on('data', (piece: string) => {
          body += piece
        })
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }))
      },
    )
    sent.on('error', reject)
    sent.end()
  })
}

test('prompt by message, answer pushed, killed in the middle, restarted, follow-up answered, interrupted', async () => {
  plane.say('look', { at: Date.now() - 60_000 })
  const first = await bench.start(environment())
  await plane.until(() => ends() === 1)
  expect(plane.pushed.map(({ type }) => type)).toEqual([
    'lifecycle',
    'assistant',
    'tool_use',
    'tool_result',
    'assistant',
    'lifecycle',
  ])
  expect(said()).toEqual(['I look.', 'It says: seen'])
  const asked = bench.gateway.requests.filter(({ route }) => route === 'inference').at(-1)?.body
  expect(JSON.stringify(asked)).toContain('QXPROJECT')
  expect(JSON.stringify(asked)).not.toContain('acp-runner-v1')
  const ready = await proxied(first.url, 'GET', '/ready')
  expect(ready.body).toContain('"name":"platform_link","ok":true,"message":"connected')
  expect((await proxied(first.url, 'GET', '/metrics')).body).toContain(
    'agui_runner_platform_link{state="connected"} 1',
  )

  plane.say('long')
  await plane.until(() => plane.pushed.filter(({ payload }) => payload.includes('run_started')).length === 2)
  await first.stop('SIGKILL')
  const followUp = plane.say('and now?')
  const second = await bench.start(environment({ IS_RESUME: 'true' }))
  await plane.until(() => ends() === 3)
  expect(plane.pushed.find(({ type }) => type === 'error')?.payload).toContain('runner_restarted')
  expect(said().at(-1)).toBe('You said: and now?')

  plane.say('long')
  await plane.until(() => plane.pushed.filter(({ payload }) => payload.includes('run_started')).length === 4)
  expect((await proxied(second.url, 'POST', '/interrupt')).body).toContain('"interrupted":true')
  await plane.until(() => ends() === 4)
  expect(await second.stop('SIGTERM')).toBe(0)
  expect(followUp).toBeGreaterThan(0)
  expect(`${first.stderr()}${second.stderr()}`).not.toMatch(/acp-runner-v1|Bearer/)
  writeTranscript()
})

test('with STOP_ON_RUN_FINISHED the first message is the run, and its end is pushed before the process ends', async () => {
  const own = new ControlPlane({ sessionId: SESSION })
  await own.open()
  own.say('hello')
  const env = { ...own.environment, RUNNER_STATE_DIR: `${bench.state}-once`, NO_PROXY: 'localhost' }
  const once = bench.spawn({ ...env, STOP_ON_RUN_FINISHED: 'true' })
  expect(await once.exited).toBe(0)
  expect(own.pushed.map(({ payload }) => payload)).toEqual([
    '{"event":"run_started"}',
    'You said: hello',
    '{"event":"run_finished"}',
  ])
  own.close()
})

function writeTranscript(): void {
  const file = process.env['TRANSCRIPT_FILE']
  if (file === undefined) return
  for (const { seq, type, payload } of plane.messages) appendFileSync(file, `${seq} ${type}: ${payload}\n`)
  appendFileSync(file, `events of the audit trail: ${plane.events.map(({ type }) => type).join(' ')}\n`)
}
