// Several calls of the client's tools in one answer, beside Claude Code's own: all are told, all results arrive.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { type ClientEvent, run, runInput, textOf } from '../support/client.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'
import { oneOrAll } from '../support/signals.ts'

const tools = ['paint', 'measure'].map((name) => ({
  name,
  description: name,
  parameters: { type: 'object', properties: { what: { type: 'string' } } },
}))

const NO_SIGNAL = new AbortController().signal

let bench: Bench
let runner: RunnerProcess

type Reply = Script['rules'][number]['reply']

/** What Claude Code calls the two tools. */
let names: readonly [paint: string, measure: string]

beforeAll(async () => {
  bench = await openBench({ script: { rules: [{ reply: 'hello' }] } })
  runner = await bench.start()
  await run(runner.url, { ...runInput('one', 'hello'), tools })
  const full = (tool: string): string => lastFacts()?.tools.find((name) => name.endsWith(`__${tool}`)) ?? ''
  names = [full('paint'), full('measure')]
})
afterAll(() => bench.close())

/** The model answers "go" with what `reply` makes of the two tools' full names; returns the thread, which is one for all. */
function open(reply: (paint: string, measure: string) => Reply): string {
  bench.gateway.use({
    rules: [
      { when: { prompt: 'go', round: 0 }, reply: reply(...names) },
      { when: { prompt: 'restarted' }, reply: 'I read: {{prompt}}' },
      { reply: 'Done.' },
    ],
  })
  return 'one'
}

const lastFacts = () => bench.gateway.requests.filter(({ route }) => route === 'inference').at(-1)?.facts

/** What the model was given for each call, by the tool's own name. */
const given = (): Record<string, string> =>
  Object.fromEntries(
    lastFacts()?.results.map(({ tool, text }) => [tool.split('__').at(-1) ?? '', text]) ?? [],
  )

const pending = (all: readonly ClientEvent[]): string[] => all.at(-1)?.['outcome'].pendingToolCallIds ?? []

function bring(
  threadId: string,
  ...results: (readonly [string | undefined, string])[]
): Promise<ClientEvent[]> {
  const messages = results.map(([toolCallId, content]) => ({
    id: `result: ${content}`,
    role: 'tool',
    toolCallId,
    content,
  }))
  return run(runner.url, { ...runInput(threadId), messages, tools })
}

const both = (paint: string, measure: string): Reply => [
  'Two at once.',
  { tool: paint, input: { what: 'a' } },
  { tool: measure, input: { what: 'b' } },
]

test('all ids are pending, and all results come in one POST, in any order', async () => {
  const thread = open(both)
  const first = await run(runner.url, { ...runInput(thread, 'go'), tools })
  const called = first.filter(({ type }) => type === 'TOOL_CALL_START').map(({ toolCallId }) => toolCallId)
  expect(called).toHaveLength(2)
  expect(pending(first)).toEqual(called)
  const second = await bring(thread, [called[1], 'two metres'], [called[0], 'painted'])
  expect(textOf(second)).toBe('Done.')
  expect(second.at(-1)?.['outcome']).toEqual({ type: 'success' })
  expect(given()).toEqual({ paint: 'painted', measure: 'two metres' })
})

test.each([
  ['in order', 0],
  ['the last one first', 1],
])('the results may be spread over several POSTs, %s', async (_order, at) => {
  const thread = open(both)
  const ids = pending(await run(runner.url, { ...runInput(thread, 'go'), tools }))
  const [now, later] = at === 0 ? ids : [...ids].reverse()
  const second = await bring(thread, [now, 'the first'])
  expect(second.map(({ type }) => type)).toEqual(['RUN_STARTED', 'RUN_FINISHED'])
  expect(pending(second)).toEqual([later])
  expect(textOf(await bring(thread, [later, 'the second']))).toBe('Done.')
  const [paint, measure] = at === 0 ? ['the first', 'the second'] : ['the second', 'the first']
  expect(given()).toEqual({ paint, measure })
})

test("Claude Code's own tools go beside them, and are told once", async () => {
  const thread = open((paint, measure) => [
    { tool: 'Bash', input: { command: 'echo before' } },
    { tool: paint, input: {} },
    { tool: 'Bash', input: { command: 'sleep 0.3; echo between' } },
    { tool: measure, input: {} },
  ])
  const first = await run(runner.url, { ...runInput(thread, 'go'), tools })
  const ids = pending(first)
  expect(ids).toHaveLength(2)
  // The second is not told to be missing while the tool before it still works.
  const second = await bring(thread, [ids[0], 'painted'])
  expect(pending(second)).toEqual([ids[1]])
  const third = await bring(thread, [ids[1], 'two metres'])
  const results = [...first, ...second, ...third].filter(({ type }) => type === 'TOOL_CALL_RESULT')
  expect(results.map(({ content }) => content)).toEqual(['before', 'between'])
  expect(second.filter(({ type }) => type === 'TOOL_CALL_RESULT')).toHaveLength(1)
  expect(given()).toEqual({ paint: 'painted', measure: 'two metres', Bash: 'between' })
})

test('a call that the model takes its time to write is pending too', async () => {
  const thread = open((paint, measure) => [
    { tool: paint, input: {} },
    { pause: 400 },
    { tool: measure, input: { what: 'slowly' }, pieces: 4, everyMs: 80 },
  ])
  const ids = pending(await run(runner.url, { ...runInput(thread, 'go'), tools }))
  expect(ids).toHaveLength(2)
  expect(textOf(await bring(thread, ...ids.map((id) => [id, 'done'] as const)))).toBe('Done.')
})

test('a client that goes on with one result of two tells the model that the other is missing', async () => {
  const thread = open(both)
  const [, measured] = pending(await run(runner.url, { ...runInput(thread, 'go'), tools }))
  const messages = [
    { id: 'r', role: 'tool', toolCallId: measured, content: 'two metres' },
    { id: 'u', role: 'user', content: 'leave the painting' },
  ]
  const all = await run(runner.url, { ...runInput(thread), messages, tools })
  expect(all.at(-1)?.['outcome']).toEqual({ type: 'success' })
  expect(given()).toEqual({
    paint: 'The client went on without giving a result.',
    measure: 'two metres',
  })
})

test('results that answer nothing are named, and so is a second one of a call', async () => {
  const thread = open(both)
  const [painted, measured] = pending(await run(runner.url, { ...runInput(thread, 'go'), tools }))
  const all = await bring(
    thread,
    ...([
      [measured, 'two metres'],
      [painted, 'painted'],
      [painted, 'again'],
      ['nobody', 'x'],
    ] as const),
  )
  expect(all.find(({ type }) => type === 'CUSTOM')).toMatchObject({
    name: 'agui-runner.content_skipped',
    value: {
      parts: [
        `the result "result: again" of call "${painted}", its second one`,
        'the result "result: x" of call "nobody", which waits for none',
      ],
    },
  })
  expect(given()).toEqual({ paint: 'painted', measure: 'two metres' })
  const refused = bring(thread, [painted, 'late'])
  await expect(refused).rejects.toThrow(
    `The run brings the result \\"result: late\\" of call \\"${painted}\\"`,
  )
})

test('a word of the system beside the results is said in the turn', async () => {
  const thread = open(both)
  const ids = pending(await run(runner.url, { ...runInput(thread, 'go'), tools }))
  const results = ids.map((toolCallId) => ({ id: toolCallId, role: 'tool', toolCallId, content: 'x' }))
  const messages = [...results, { id: 's', role: 'system', content: 'Be brief.' }]
  await run(runner.url, { ...runInput(thread), messages, tools })
  expect(lastFacts()?.messages).toContain('Be brief.')
})

test.each(
  oneOrAll([
    ['before', true],
    ['after', false],
  ] as const),
)(
  'a first result that came %s a kill -9 of the runner reaches the model with the second',
  async (_when, isBefore) => {
    const thread = open(both)
    const [painted, measured] = pending(await run(runner.url, { ...runInput(thread, 'go'), tools }))
    const bringFirst = async () =>
      expect(pending(await bring(thread, [measured, 'two metres']))).toEqual([painted])
    if (isBefore) await bringFirst()
    await runner.stop('SIGKILL')
    runner = await bench.start()
    if (!isBefore) await bringFirst()
    const all = await bring(thread, [painted, 'painted'])
    expect(textOf(all)).toContain('paint {"what":"a"}: returned: painted')
    expect(textOf(all)).toContain('measure {"what":"b"}: returned: two metres')
  },
)

test('what is said beside a part of the results, when nobody is there to hear it, is said with the last', async () => {
  const thread = open(both)
  const [painted, measured] = pending(await run(runner.url, { ...runInput(thread, 'go'), tools }))
  await runner.stop()
  runner = await bench.start()
  const messages = [
    { id: 's', role: 'system', content: 'Be brief.' },
    { id: 'r', role: 'tool', toolCallId: painted, content: 'painted' },
  ]
  const context = [{ description: 'place', value: 'Bern' }]
  expect(pending(await run(runner.url, { ...runInput(thread), messages, context, tools }))).toEqual([
    measured,
  ])
  await bring(thread, [measured, 'two metres'])
  const words = lastFacts()?.messages ?? ''
  const at = ['measure {', '<context>', 'Bern', 'Be brief.'].map((part) => words.indexOf(part))
  expect(at.every((place) => place > 0)).toBe(true)
})

test('results whose run a kill -9 cuts are not lost when the client goes on without them', async () => {
  const thread = open(both)
  const ids = pending(await run(runner.url, { ...runInput(thread, 'go'), tools }))
  bench.gateway.use({
    rules: [{ when: { prompt: 'go' }, reply: [{ hang: true }] }, { reply: 'Then.' }],
  })
  const asked = bench.gateway.waitForRequest(
    ({ facts }) => facts?.messages.includes(`result of ${ids[1]}`) === true,
    NO_SIGNAL,
  )
  const cut = bring(thread, ...ids.map((id) => [id, `result of ${id}`] as const)).catch(() => undefined)
  await asked
  await runner.stop('SIGKILL')
  await cut
  runner = await bench.start()
  expect(textOf(await run(runner.url, { ...runInput(thread, 'and now?'), tools }))).toBe('Then.')
  for (const id of ids) expect(lastFacts()?.messages).toContain(`returned: result of ${id}`)
})
