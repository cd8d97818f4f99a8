import { describe, expect, test } from 'vitest'
import { parseRunInput, parseUserContent } from '../../src/agui/input.ts'
import { RunnerError } from '../../src/errors.ts'

const MESSAGE = { id: 'm1', role: 'user', content: 'Hello' }
const INPUT = { threadId: 't', runId: 'r', messages: [MESSAGE] }
const IMAGE = { type: 'image', source: { type: 'data', value: 'AAAA', mimeType: 'image/png' } }

const withMessages = (...messages: unknown[]): object => ({ ...INPUT, messages })

function refusal(body: unknown): RunnerError {
  try {
    parseRunInput(body)
  } catch (error) {
    if (error instanceof RunnerError) return error
    throw error
  }
  throw new Error('it was not refused')
}

// The annex of agui-1.0-producer.md, row by row.
describe('a known field with a wrong value is refused, and named', () => {
  test.each<[what: string, body: unknown, named: RegExp]>([
    ['no messages', { threadId: 't', runId: 'r' }, /messages/],
    ['no runId', { threadId: 't', messages: [] }, /runId/],
    ['a numeric threadId', { ...INPUT, threadId: 7 }, /threadId/],
    ['a null threadId', { ...INPUT, threadId: null }, /threadId/],
    ['messages that are no list', { ...INPUT, messages: {} }, /messages/],
    ['a message that is a text', withMessages('hello'), /messages\[0\]/],
    ['a message without id', withMessages({ role: 'user', content: 'x' }), /messages\[0\]\.id/],
    ['a user message without content', withMessages({ id: 'm', role: 'user' }), /messages\[0\]\.content/],
    [
      'a tool message without toolCallId',
      withMessages({ id: 'm', role: 'tool', content: 'x' }),
      /messages\[0\]\.toolCallId/,
    ],
    ['an image without source', withMessages({ ...MESSAGE, content: [{ type: 'image' }] }), /messages\[0\]/],
    ['a message without role', withMessages({ id: 'm', content: 'x' }), /messages\[0\]/],
    [
      'a tool without description',
      { ...INPUT, tools: [{ name: 'x', parameters: {} }] },
      /tools\[0\]\.description/,
    ],
    [
      'a context value that is no text',
      { ...INPUT, context: [{ description: 'x', value: 1 }] },
      /context\[0\]\.value/,
    ],
    [
      'a resume status nobody knows',
      { ...INPUT, resume: [{ interruptId: 'i', status: 'maybe' }] },
      /resume\[0\]\.status/,
    ],
    ['a protocol version that is no text', { ...INPUT, protocolVersion: 1 }, /protocolVersion/],
  ])('%s', (_what, body, named) => {
    const error = refusal(body)
    expect(error.code).toBe('invalid_input')
    expect(error.message).toMatch(named)
    expect(JSON.stringify(error.details)).toMatch(named)
  })

  test.each([[null], [undefined], ['text'], [[]], [7]])('a body that is %j', (body) => {
    expect(refusal(body).code).toBe('invalid_input')
  })
})

describe('what is not known is stripped with a warning', () => {
  test('an unknown member', () => {
    const { input, warnings } = parseRunInput({ ...INPUT, colour: 'red' })
    expect(input).not.toHaveProperty('colour')
    expect(warnings).toEqual(['colour: unknown member'])
  })

  test('an unknown role', () => {
    const { input, warnings } = parseRunInput(
      withMessages({ id: 'x', role: 'narrator', content: '' }, MESSAGE),
    )
    const skipped = ['a message of the unknown role "narrator"']
    expect(input.messages).toEqual([{ ...MESSAGE, metadata: { 'agui-runner.skipped': skipped } }])
    expect(warnings).toEqual(['messages[0]: unknown role "narrator"'])
  })

  test.each<[what: string, part: object, warning: RegExp]>([
    [
      'content part',
      { type: 'hologram', data: 1 },
      /messages\[0\]\.content\[1\]: unknown part type "hologram"/,
    ],
    ['source', { type: 'image', source: { type: 'ftp', value: 'x' } }, /unknown source type "ftp"/],
    [
      'binary part that holds nothing',
      { type: 'binary', mimeType: 'image/png' },
      /unknown part type "binary"/,
    ],
  ])('an unknown %s', (_what, part, warning) => {
    const content = [{ type: 'text', text: 'a' }, part, IMAGE]
    const { input, warnings } = parseRunInput(withMessages({ ...MESSAGE, content }))
    expect(input.messages[0]?.content).toEqual([{ type: 'text', text: 'a' }, IMAGE])
    expect(warnings).toEqual([expect.stringMatching(warning)])
  })
})

describe('a null where nothing need be is nothing', () => {
  test.each(['tools', 'context', 'resume', 'forwardedProps', 'parentRunId', 'protocolVersion', 'state'])(
    'of %s',
    (name) => {
      const { input, warnings } = parseRunInput({ ...INPUT, [name]: null })
      expect(Reflect.get(input, name) ?? undefined).not.toBeNull()
      expect(warnings).toEqual([])
    },
  )

  test('in a resume entry, an assistant message and a tool message', () => {
    const { input } = parseRunInput({
      ...withMessages(
        { id: 'a', role: 'assistant', content: null },
        { id: 'b', role: 'tool', toolCallId: 'c', content: 'x', error: null },
        MESSAGE,
      ),
      resume: [{ interruptId: 'i', status: 'resolved', payload: null }],
    })
    expect(input.messages.map(({ id }) => id)).toEqual(['a', 'b', 'm1'])
    expect(input.resume).toEqual([{ interruptId: 'i', status: 'resolved' }])
  })

  test('but nulls inside forwardedProps are data', () => {
    const forwardedProps = { a: null, b: [null] }
    expect(parseRunInput({ ...INPUT, forwardedProps }).input.forwardedProps).toEqual(forwardedProps)
  })
})

describe("the platform's spelling", () => {
  test('is understood', () => {
    const { input, warnings } = parseRunInput({
      thread_id: 't',
      run_id: 'r',
      parent_run_id: 'p',
      forwarded_props: { x: 1 },
      messages: [],
    })
    expect(input).toMatchObject({ threadId: 't', runId: 'r', parentRunId: 'p', forwardedProps: { x: 1 } })
    expect(warnings).toEqual([])
  })

  test('gives way to the standard one', () => {
    expect(parseRunInput({ ...INPUT, thread_id: 'other' }).input.threadId).toBe('t')
  })

  // What `model_dump(exclude_none=True)` of ag-ui-protocol 1.0.0 gives, without `by_alias`.
  test('is understood everywhere', () => {
    const source = (names: object) => ({ type: 'data', value: 'AA==', ...names })
    const call = { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }
    const entry = { status: 'resolved', payload: { tool_call_id: 'the person’s own' } }
    const { input, dialect, warnings } = parseRunInput({
      ...{ thread_id: 't', run_id: 'r', protocol_version: '1.0' },
      messages: [
        { id: 'u', role: 'user', content: [{ type: 'image', source: source({ mime_type: 'image/png' }) }] },
        { id: 'a', role: 'assistant', subagent_run_id: 's', tool_calls: [{ ...call, encrypted_value: 'e' }] },
        { id: 'n', role: 'activity', activity_type: 'plan', content: { mime_type: 'its own' } },
      ],
      resume: [{ interrupt_id: 'i', ...entry }],
    })
    expect(input.messages).toEqual([
      { id: 'u', role: 'user', content: [{ type: 'image', source: source({ mimeType: 'image/png' }) }] },
      { id: 'a', role: 'assistant', subagentRunId: 's', toolCalls: [{ ...call, encryptedValue: 'e' }] },
      { id: 'n', role: 'activity', activityType: 'plan', content: { mime_type: 'its own' } },
    ])
    expect(input.resume).toEqual([{ interruptId: 'i', ...entry }])
    expect([dialect, warnings]).toEqual(['1.0', []])
  })

  test('is understood in the older forms of a picture and of an answer', () => {
    const part = { type: 'binary', mime_type: 'image/png', data: 'AA==' }
    const { input } = parseRunInput({
      ...INPUT,
      messages: [{ id: 'u', role: 'user', content: [part] }],
      forwarded_props: { resume: [{ interrupt_id: 'i', status: 'cancelled' }] },
    })
    const source = { type: 'data', value: 'AA==', mimeType: 'image/png' }
    expect(input.messages).toEqual([{ id: 'u', role: 'user', content: [{ type: 'image', source }] }])
    expect(input.resume).toEqual([{ interruptId: 'i', status: 'cancelled' }])
  })

  // agent-framework-ag-ui 1.7.0 (_message_adapters.py) has both spellings in one history.
  test('is understood in a message too, with the call and its result', () => {
    const call = { id: 'c', type: 'function', function: { name: 'get_weather', arguments: '{}' } }
    const result = { id: 'r', role: 'tool', content: 'sunny' }
    const messages = [
      { id: 'a', role: 'assistant', content: '', tool_calls: [call] },
      { ...result, toolCallId: 'c' },
      { ...result, tool_call_id: 'c' },
      { ...result, toolCallId: 'c', tool_call_id: 'other' },
    ]
    const { input, warnings } = parseRunInput({ ...INPUT, messages })
    const standard = { ...result, toolCallId: 'c' }
    expect(input.messages).toEqual([
      { id: 'a', role: 'assistant', content: '', toolCalls: [call] },
      ...[standard, standard, standard],
    ])
    expect(warnings).toEqual([])
  })
})

describe('content that comes outside a run input', () => {
  test('is a text or parts', () => {
    expect(parseUserContent('hi', 'id')).toEqual({ id: 'id', role: 'user', content: 'hi' })
    const parts = [{ type: 'text', text: 'a' }, IMAGE]
    expect(parseUserContent(parts, 'id').content).toEqual(parts)
  })

  test.each([[undefined], [null], [7], [{}], [[{ type: 'text' }]], [['x']]])('%j is refused', (content) => {
    expect(() => parseUserContent(content, 'id')).toThrow(expect.objectContaining({ code: 'invalid_input' }))
  })
})

describe('a client before AG-UI 1.0', () => {
  const resume = [{ interruptId: 'i', status: 'resolved' }]
  const binary = { type: 'binary', mimeType: 'image/png', data: 'AAAA' }
  const contentOf = (...content: object[]): unknown =>
    parseRunInput(withMessages({ ...MESSAGE, content })).input.messages[0]?.content

  test('says no version', () => {
    expect(parseRunInput(INPUT).dialect).toBe('older')
    expect(parseRunInput({ ...INPUT, protocolVersion: '1.0' }).dialect).toBe('1.0')
  })

  test('answers in forwardedProps, for it has no other place', () => {
    expect(parseRunInput({ ...INPUT, forwardedProps: { resume } }).input.resume).toEqual(resume)
  })

  test('has its own answers taken when it has such a place', () => {
    const other = [{ interruptId: 'j', status: 'cancelled' }]
    expect(parseRunInput({ ...INPUT, resume, forwardedProps: { resume: other } }).input.resume).toEqual(
      resume,
    )
  })

  test('has an answer that is none refused', () => {
    expect(refusal({ ...INPUT, forwardedProps: { resume: 'yes' } }).message).toMatch(/resume/)
  })

  test("alone has its forwardedProps looked at: they are the app's", () => {
    const input = { ...INPUT, protocolVersion: '1.0', forwardedProps: { resume: 'mine' } }
    expect(parseRunInput(input).input.resume).toBeUndefined()
  })

  test('sends media as binary parts', () => {
    expect(contentOf(binary)).toEqual([IMAGE])
    expect(contentOf({ type: 'binary', mimeType: 'application/pdf', url: 'https://x.test' })).toEqual([
      { type: 'document', source: { type: 'url', value: 'https://x.test', mimeType: 'application/pdf' } },
    ])
  })

  test('has what it sends in both forms taken once', () => {
    expect(contentOf(binary, IMAGE)).toEqual([IMAGE])
  })
})

test.each(['2.0', '', 'latest'])(
  'protocolVersion "%s", which nobody speaks here, is refused',
  (protocolVersion) => {
    expect(refusal({ ...INPUT, protocolVersion }).message).toMatch(/protocolVersion.*1\.0/)
  },
)
