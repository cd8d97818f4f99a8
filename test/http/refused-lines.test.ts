// What the log says of a request that gets an error: expected refusals are one line of words, and faults have a stack.
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { ERRORS, type ErrorCode, RunnerError } from '../../src/errors.ts'
import { logFailure, toErrorBody } from '../../src/http/doors/error-answers.ts'
import { bodyOf, post, runInput } from '../support/client.ts'
import { LogLines } from '../support/log-lines.ts'
import { openScriptedRunner } from '../support/scripted-runner.ts'
import { openSocket } from '../support/socket.ts'

const [DEBUG, INFO, ERROR] = [20, 30, 50]

test('a runner that stops in order refuses what comes, without a stack', async () => {
  const runner = await openScriptedRunner({ script: { rules: [{ reply: 'hello' }] } })
  try {
    const socket = await openSocket(runner.url)
    await runner.threads.close()
    const [byPost, bySocket] = [runInput('t', 'late'), runInput('t', 'late too')]
    const answer = await post(runner.url, byPost)
    expect([answer.status, await bodyOf(answer)]).toMatchObject([503, { error: { code: 'shutting_down' } }])
    socket.send({ type: 'run', input: bySocket })
    await socket.frame(({ type }) => type === 'error')
    for (const [what, { runId }] of [
      ['request', byPost],
      ['socket command', bySocket],
    ] as const) {
      const line = await runner.line(
        ({ runId: of, msg }) => of === runId && String(msg).startsWith(`${what} `),
      )
      expect(line).toMatchObject({ level: INFO, msg: `${what} refused`, code: 'shutting_down' })
      expect(line).not.toHaveProperty('err')
    }
    await socket.close()
  } finally {
    await runner.close()
  }
})

test('only faults of the runner, its store and its disk are errors of the log', () => {
  const lines = new LogLines()
  const logger = pino({ base: null, level: 'debug' }, { write: (text) => lines.add(JSON.parse(text)) })
  const codes = Object.keys(ERRORS) as ErrorCode[]
  const failures = [...codes.map((code) => new RunnerError(code, 'why')), new TypeError('a bug')]
  for (const error of failures) logFailure(logger, error, toErrorBody(error).body, 'request')
  expect(lines.all).toHaveLength(failures.length)
  const faults = lines.all.filter(({ level }) => level === ERROR)
  expect(faults.every(({ err }) => JSON.stringify(err).includes('refused-lines.test.ts'))).toBe(true)
  expect(faults.map(({ err }) => JSON.parse(JSON.stringify(err)).code ?? 'unknown').sort()).toEqual([
    'config_invalid',
    'internal',
    'policy_invalid',
    'policy_not_enforced',
    'storage_damaged',
    'storage_full',
    'unknown',
  ])
  expect(lines.all.flatMap(({ level, code }) => (level === DEBUG ? [code] : []))).toEqual(['rate_limited'])
})
