import { createParser } from 'eventsource-parser'
import { expect, test } from 'vitest'
import { type Cue, toMessageCues, toStreamCues } from '../../src/mock/message-cues.ts'
import { createGates, playCues, StreamBreak } from '../../src/mock/pieces.ts'
import type { ScriptStep } from '../../src/mock/script.ts'

const CONTEXT = { model: 'm', prompt: 'four' }

type Event = { type: string; [field: string]: unknown }

const cuesOf = (steps: ScriptStep[]): Cue[] => [...toStreamCues(steps, CONTEXT)]

function eventsOf(steps: ScriptStep[]): Event[] {
  const events: Event[] = []
  const parser = createParser({
    onEvent: ({ event, data }) => {
      const parsed: Event = JSON.parse(data)
      expect(parsed.type).toBe(event)
      events.push(parsed)
    },
  })
  for (const cue of cuesOf(steps)) if (typeof cue === 'string') parser.feed(cue)
  return events
}

const ofType = (events: Event[], type: string): Event[] => events.filter((event) => event.type === type)
const deltasOf = (events: Event[]): unknown[] =>
  ofType(events, 'content_block_delta').map((event) => event['delta'])

test('a text is one block between message_start and message_stop', () => {
  const events = eventsOf([{ text: 'hello' }])
  expect(events).toEqual([
    {
      type: 'message_start',
      message: {
        id: expect.stringMatching(/^msg_/),
        type: 'message',
        role: 'assistant',
        model: 'm',
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: {
          input_tokens: 101,
          cache_creation_input_tokens: 0,
          cache_read_input_tokens: 0,
          output_tokens: 1,
        },
      },
    },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'hello' } },
    { type: 'content_block_stop', index: 0 },
    {
      type: 'message_delta',
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: {
        input_tokens: 101,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
        output_tokens: 2,
      },
    },
    { type: 'message_stop' },
  ])
})

test.each([
  ['a number of pieces', { text: 'äöü🙂abc', pieces: 3 }, ['äöü', '🙂ab', 'c']],
  ['words', { text: ' one  two\nthree ', pieces: 'words' }, [' one', '  two', '\nthree', ' ']],
  ['pieces already cut', { text: ['a', 'b'] }, ['a', 'b']],
  ['more pieces than characters', { text: 'ab', pieces: 9 }, ['a', 'b']],
] as const)('a text is cut into %s and nothing is lost', (_name, step, texts) => {
  const text =
    'text' in step && typeof step.text === 'string' ? { ...step, text: step.text } : { text: ['a', 'b'] }
  expect(deltasOf(eventsOf([text]))).toEqual(texts.map((piece) => ({ type: 'text_delta', text: piece })))
})

test('thinking is signed at its end, redacted thinking carries its data at its start', () => {
  const events = eventsOf([
    { thinking: 'a b', pieces: 'words', signature: 'sig' },
    { redactedThinking: 'xyz' },
  ])
  expect(deltasOf(events)).toEqual([
    { type: 'thinking_delta', thinking: 'a' },
    { type: 'thinking_delta', thinking: ' b' },
    { type: 'signature_delta', signature: 'sig' },
  ])
  expect(ofType(events, 'content_block_start')[1]).toMatchObject({
    content_block: { type: 'redacted_thinking', data: 'xyz' },
  })
})

test('tool calls stream their input as JSON in pieces, several in one message, each with its own id', () => {
  const input = { command: 'echo "ü"', nested: { a: [1, null] } }
  const events = eventsOf([
    { tool: 'Bash', input, pieces: 4 },
    { tool: 'Read' },
    { tool: 'X', id: 'toolu_mine', rawInput: '{"a":' },
  ])
  const json = deltasOf(events.filter((event) => event['index'] === 0))
    .map((delta) => Object(delta).partial_json)
    .join('')
  expect(JSON.parse(json)).toEqual(input)
  expect(deltasOf(events.filter((event) => event['index'] === 2))).toEqual([
    { type: 'input_json_delta', partial_json: '{"a":' },
  ])
  const ids = ofType(events, 'content_block_start').map((event) => Object(event['content_block']).id)
  expect(ids).toEqual([expect.stringMatching(/^toolu_/), expect.stringMatching(/^toolu_/), 'toolu_mine'])
  expect(ids[0]).not.toBe(ids[1])
  expect(ofType(events, 'message_delta')[0]).toMatchObject({ delta: { stop_reason: 'tool_use' } })
})

test('an open block is continued by a step of its kind and closed by any other', () => {
  const events = eventsOf([
    { text: 'a', open: true },
    { text: 'b', open: true },
    { deltas: { count: 1, text: 'c' } },
    { tool: 'T' },
  ])
  expect(events.map(({ type, index }) => `${type} ${index}`).slice(1, 7)).toEqual([
    'content_block_start 0',
    'content_block_delta 0',
    'content_block_delta 0',
    'content_block_delta 0',
    'content_block_stop 0',
    'content_block_start 1',
  ])
})

test('usage and stop reason can be given', () => {
  const usage = { input: 5, output: 7, cacheRead: 11, cacheCreation: 13 }
  const events = eventsOf([{ usage }, { text: 'x' }, { stop: 'stop_sequence', sequence: 'END' }])
  const counts = { input_tokens: 5, cache_creation_input_tokens: 13, cache_read_input_tokens: 11 }
  expect(events[0]).toMatchObject({ message: { usage: { ...counts, output_tokens: 1 } } })
  expect(ofType(events, 'message_delta')).toEqual([
    {
      type: 'message_delta',
      delta: { stop_reason: 'stop_sequence', stop_sequence: 'END' },
      usage: { ...counts, output_tokens: 7 },
    },
  ])
})

test('100,000 deltas come numbered, complete and in large writes', () => {
  const steps = [{ deltas: { count: 100_000, text: '{{n}};' } }]
  expect(
    deltasOf(eventsOf(steps))
      .map((delta) => Object(delta).text)
      .join(''),
  ).toBe(Array.from({ length: 100_000 }, (_, index) => `${index + 1};`).join(''))
  expect(cuesOf(steps).length).toBeLessThan(1000)
})

test.each([
  ['17', 17],
  ['not a number', 0],
  ['-3', 0],
])('a count may be a text: %s', (count, expected) => {
  expect(deltasOf(eventsOf([{ deltas: { count } }]))).toHaveLength(expected)
})

test('cut ends without message_stop, a stream error ends with its event, raw goes out as it is', () => {
  expect(eventsOf([{ text: 'a' }, { cut: true }, { text: 'b' }]).at(-1)).toEqual({
    type: 'content_block_stop',
    index: 0,
  })
  const error = { type: 'overloaded_error', message: 'busy' }
  expect(eventsOf([{ text: 'a', open: true }, { streamError: error }]).at(-1)).toEqual({
    type: 'error',
    error,
  })
  expect(cuesOf([{ raw: ': a comment\n\n' }])).toContain(': a comment\n\n')
})

test('the message without streaming holds the same content', () => {
  const steps: ScriptStep[] = [
    { thinking: ['a', 'b'], signature: 's' },
    { redactedThinking: 'r' },
    { text: 'hello', pieces: 3 },
    { deltas: { count: 2, text: 'x' } },
    { tool: 'Bash', id: 'toolu_1', input: { command: 'ls' } },
    { usage: { output: 3 } },
  ]
  const [cue, ...rest] = toMessageCues(steps, CONTEXT)
  expect(rest).toEqual([])
  expect(JSON.parse(String(cue))).toMatchObject({
    content: [
      { type: 'thinking', thinking: 'ab', signature: 's' },
      { type: 'redacted_thinking', data: 'r' },
      { type: 'text', text: 'hello' },
      { type: 'text', text: 'xx' },
      { type: 'tool_use', id: 'toolu_1', name: 'Bash', input: { command: 'ls' } },
    ],
    stop_reason: 'tool_use',
    usage: { output_tokens: 3 },
  })
})

const play = (cues: Iterable<Cue>, signal = new AbortController().signal, gates = createGates()) =>
  playCues(cues, { gates, signal })

async function collect(pieces: AsyncIterable<string>): Promise<string[]> {
  const collected: string[] = []
  for await (const piece of pieces) collected.push(piece)
  return collected
}

test('what needs no wait travels together, a wait sends what is there', async () => {
  const cues: Cue[] = ['a', 'b', { kind: 'pause', ms: 1 }, 'c', 'd']
  expect(await collect(play(cues))).toEqual(['ab', 'cd'])
})

test('deltas at a rate take their time', async () => {
  const started = performance.now()
  const pieces = await collect(play(toStreamCues([{ deltas: { count: 21, perSecond: 200 } }], CONTEXT)))
  // 21 deltas at 200 a second: the last is due after 100 ms; timers may be a little early.
  expect(performance.now() - started).toBeGreaterThan(90)
  expect(pieces.length).toBeGreaterThan(5)
})

test('a gate holds the reply until it is opened, and stays open', async () => {
  const gates = createGates()
  const cues: Cue[] = ['before', { kind: 'gate', name: 'g' }, 'after', { kind: 'gate', name: 'g' }, 'end']
  const pieces = play(cues, undefined, gates)
  expect(await pieces.next()).toEqual({ value: 'before', done: false })
  const next = pieces.next()
  gates.open('other')
  expect(await Promise.race([next, Promise.resolve('held')])).toBe('held')
  gates.open('g')
  expect(await next).toEqual({ value: 'after', done: false })
  expect(await collect(pieces)).toEqual(['end'])
})

test.each<[string, Cue]>([
  ['a hang', { kind: 'hang' }],
  ['a pause', { kind: 'pause', ms: 60_000 }],
  ['a gate', { kind: 'gate', name: 'g' }],
])('%s ends with the signal', async (_name, cue) => {
  const controller = new AbortController()
  const pieces = play(['a', cue, 'never'], controller.signal)
  await pieces.next()
  const next = pieces.next()
  controller.abort()
  await expect(next).rejects.toMatchObject({ name: 'AbortError' })
})

test('a fault breaks the stream after what came before it', async () => {
  const pieces = play(['a', { kind: 'fault', fault: 'drop' }])
  expect(await pieces.next()).toEqual({ value: 'a', done: false })
  await expect(pieces.next()).rejects.toThrow(StreamBreak)
})
