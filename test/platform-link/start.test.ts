// Where a start goes on: the cursor of the control plane, or the runner's own (control-plane.md 1.6).
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Bench, openBench, SESSION } from '../support/linked-runner.ts'

const AGENT = { script: { rules: [{ reply: 'You said: {{prompt}}' }] } }

let bench: Bench
beforeEach(async () => {
  bench = await openBench(AGENT)
})
afterEach(() => bench.close())

const answers = (): string[] =>
  bench.plane.pushed.flatMap(({ type, payload }) => (type === 'assistant' ? [payload] : []))
const ended = (runs: number) =>
  bench.plane.until(
    () => bench.plane.pushed.filter(({ payload }) => payload.includes('run_finished')).length >= runs,
  )
const LONG_AGO = { at: Date.now() - 3_600_000 }

const cursor = () => `${bench.directory}/workspace/.acp-runtime/message-cursor.json`
const withCursor = (more: Record<string, string> = {}) => ({
  variables: { ACP_MESSAGE_CURSOR_FILE: cursor(), ...more },
})
const write = (text: string): void => {
  mkdirSync(`${bench.directory}/workspace/.acp-runtime`, { recursive: true })
  writeFileSync(cursor(), text)
}
const text = (last_seq: number, session_id = SESSION, version = 1) =>
  JSON.stringify({ version, session_id, last_seq })

test('with a cursor the first message is the prompt, and the cursor moves with each', async () => {
  const first = bench.plane.say('the prompt', LONG_AGO)
  const runner = await bench.open(withCursor())
  await ended(1)
  await expect
    .poll(() => JSON.parse(readFileSync(cursor(), 'utf8')), { timeout: 10_000 })
    .toEqual(JSON.parse(text(first)))
  await runner.close()
  bench.plane.say('meanwhile', LONG_AGO)
  await bench.open(withCursor({ IS_RESUME: 'true', RESUME_AFTER_SEQ: '' }))
  await ended(2)
  expect(answers()).toEqual(['You said: the prompt', 'You said: meanwhile'])
})

test.each([
  ['is another session’s', text(7, 'another'), 'another session'],
  ['is of another version', text(7, SESSION, 2), 'version'],
  ['has a member more', '{"version":1,"session_id":"session-0001","last_seq":1,"more":1}', 'version'],
  ['is no JSON', '{"version":1', 'no JSON'],
  ['is empty', '', 'no JSON'],
  ['has a number that no one has', text(1).replace('1}', '9007199254740993}'), 'version'],
  ['is too long', `${text(1)}${' '.repeat(4096)}`, '4096'],
])('a cursor that %s ends the start', async (_how, content, says) => {
  write(content)
  await expect(bench.open(withCursor())).rejects.toThrow(says)
})

test('a cursor that is not there ends a resume, and one that lies elsewhere or behind a link ends any start', async () => {
  await expect(bench.open(withCursor({ IS_RESUME: 'true' }))).rejects.toThrow('IS_RESUME')
  const outside = { variables: { ACP_MESSAGE_CURSOR_FILE: `${bench.directory}/cursor.json` } }
  await expect(bench.open(outside)).rejects.toThrow('WORKSPACE_PATH')
  write('')
  rmSync(cursor())
  symlinkSync('/etc/hostname', cursor())
  await expect(bench.open(withCursor())).rejects.toThrow('link')
  rmSync(`${bench.directory}/workspace/.acp-runtime`, { recursive: true })
  symlinkSync(bench.directory, `${bench.directory}/workspace/.acp-runtime`)
  await expect(bench.open(withCursor())).rejects.toThrow(/ACP_MESSAGE_CURSOR_FILE/)
})

test('a cursor that cannot be written ends the start', async () => {
  write(text(7))
  mkdirSync(`${cursor()}.new`)
  await expect(bench.open(withCursor())).rejects.toThrow('ACP_MESSAGE_CURSOR_FILE')
})

test('what a cursor of the future skips is logged', async () => {
  write(text(1_000_000))
  const runner = await bench.open(withCursor())
  await bench.plane.until(() => bench.plane.watching > 0)
  const seq = bench.plane.say('too early')
  await expect
    .poll(() => runner.lines.join(''), { timeout: 10_000 })
    .toContain(`"seq":${seq},"accepted":1000000,"msg":"a message of the platform is skipped`)
})

test('the prompt that came as a file is not run again as the first message, and what was said since is', async () => {
  bench.plane.say('the prompt', LONG_AGO)
  bench.plane.say('said meanwhile', LONG_AGO)
  await bench.open({ firstPrompt: 'words of the project\n\nthe prompt' })
  await ended(1)
  expect(answers()).toEqual(['You said: said meanwhile'])
})

test('what is among the words of the prompt is a message of its own all the same', async () => {
  bench.plane.say('make the report', LONG_AGO)
  bench.plane.say('the report', LONG_AGO)
  bench.plane.say('', LONG_AGO)
  bench.plane.say('last', LONG_AGO)
  await bench.open({ firstPrompt: 'words of the project\n\nmake the report' })
  await ended(2)
  expect(answers()).toContain('You said: the report')
})

test.each(['0', '', undefined])('a resume behind %j', async (after) => {
  bench.plane.say('old', LONG_AGO)
  const variables = { IS_RESUME: 'true', ...(after === undefined ? {} : { RESUME_AFTER_SEQ: after }) }
  await bench.open({ variables })
  await bench.plane.until(() => bench.plane.watching > 0)
  bench.plane.say('new')
  await ended(after === '0' ? 2 : 1)
  expect(answers()).toEqual(after === '0' ? ['You said: old', 'You said: new'] : ['You said: new'])
})

test('a resume without files goes on behind RESUME_AFTER_SEQ', async () => {
  const before = bench.plane.say('old', LONG_AGO)
  bench.plane.say('new', LONG_AGO)
  await bench.open({ variables: { IS_RESUME: 'true', RESUME_AFTER_SEQ: String(before) } })
  await ended(1)
  expect(answers()).toEqual(['You said: new'])
})

test('a resume that knows nothing runs what is said from now on', async () => {
  bench.plane.say('old', LONG_AGO)
  await bench.open({ variables: { IS_RESUME: 'true' } })
  await bench.plane.until(() => bench.plane.watching > 0)
  bench.plane.say('new')
  await ended(1)
  expect(answers()).toEqual(['You said: new'])
})

test('a run input as JSON is one, and what only looks like it is words', async () => {
  await bench.open()
  bench.plane.say(
    JSON.stringify({
      thread_id: SESSION,
      run_id: 'x',
      messages: [{ id: 'u', role: 'user', content: 'as input' }],
    }),
  )
  bench.plane.say('{"messages": 7}')
  await ended(2)
  expect(answers()).toEqual(['You said: as input', 'You said: {"messages": 7}'])
})
