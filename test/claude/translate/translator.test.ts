import { EventType } from '@ag-ui/core'
import { describe, expect, test } from 'vitest'
import type { AguiEvent } from '../../../src/agui/event.ts'
import { Translator, type TranslatorOptions } from '../../../src/claude/translate/translator.ts'

const stream = (event: object): object => ({ type: 'stream_event', event, parent_tool_use_id: null })
const begin = (id: string): object => stream({ type: 'message_start', message: { id } })
const open = (index: number, block: object): object =>
  stream({ type: 'content_block_start', index, content_block: block })
const delta = (index: number, piece: object): object =>
  stream({ type: 'content_block_delta', index, delta: piece })
const say = (index: number, text: string): object => delta(index, { type: 'text_delta', text })
const argue = (index: number, json: string): object =>
  delta(index, { type: 'input_json_delta', partial_json: json })
const stop = (index: number): object => stream({ type: 'content_block_stop', index })
const whole = (id: string, ...content: object[]): object => ({
  type: 'assistant',
  message: { id, model: 'claude', content },
  parent_tool_use_id: null,
})
const answer = (toolUseId: string, content: unknown, parent: string | null = null): object => ({
  type: 'user',
  message: { role: 'user', content: [{ type: 'tool_result', tool_use_id: toolUseId, content }] },
  parent_tool_use_id: parent,
})
const TEXT = { type: 'text', text: '' }
const bash = (id: string): object => ({ type: 'tool_use', id, name: 'Bash', input: {} })

function translate(messages: readonly object[], options: TranslatorOptions = {}): AguiEvent[] {
  const translator = new Translator(options)
  return [...messages.flatMap((message) => translator.translate(message)), ...translator.close()]
}

const types = (events: readonly AguiEvent[]): string[] => events.map((event) => event.type)

function deltas(events: readonly AguiEvent[]): unknown[] {
  return events.flatMap((event) => ('delta' in event ? [event.delta] : []))
}

function ids(events: readonly AguiEvent[], type: EventType): unknown[] {
  return events.flatMap((event) => {
    if (event.type !== type) return []
    return 'toolCallId' in event ? [event.toolCallId] : 'messageId' in event ? [event.messageId] : []
  })
}

test('what cites its sources keeps them when it comes whole, as from a subagent or without a stream', () => {
  const citation = { type: 'char_location', cited_text: 'so it is' }
  const events = translate([whole('m', { type: 'text', text: 'It is so.', citations: [citation] })])
  expect(events.at(-1)).toEqual({
    type: EventType.TEXT_MESSAGE_END,
    messageId: 'm:0',
    metadata: { 'agui-runner': { citations: [citation] } },
  })
})

describe('ids', () => {
  test('a gateway that names every answer alike still gets one message for each', () => {
    const turn = [begin('msg_1'), open(0, TEXT), say(0, 'a'), stop(0)]
    const events = translate([...turn, ...turn])
    expect(ids(events, EventType.TEXT_MESSAGE_START)).toEqual(['msg_1:0', 'msg_1~2:0'])
  })

  test('ids of an earlier run are not used again', () => {
    const first = new Translator()
    first.translate(whole('msg_1', { type: 'text', text: 'a' }))
    const second = new Translator({ memory: JSON.parse(JSON.stringify(first.memory)) })
    const events = second.translate(whole('msg_1', { type: 'text', text: 'b' }))
    expect(ids(events, EventType.TEXT_MESSAGE_START)).toEqual(['msg_1~2:0'])
  })

  test('a tool_use id that comes again after its answer is another call', () => {
    const round = (id: string): object[] => [whole(id, bash('call_1')), answer('call_1', 'ok')]
    const events = translate([...round('m1'), ...round('m2')])
    expect(ids(events, EventType.TOOL_CALL_START)).toEqual(['call_1', 'call_1~2'])
    expect(ids(events, EventType.TOOL_CALL_RESULT)).toEqual(['call_1', 'call_1~2'])
  })

  test('a call that is told twice before its answer is one call', () => {
    const events = translate([whole('m1', bash('t1')), whole('m2', bash('t1')), answer('t1', 'ok')])
    expect(ids(events, EventType.TOOL_CALL_START)).toEqual(['t1'])
  })

  test('two calls with one id in one answer are two, and no result claims to know whose it is', () => {
    const streamed = [0, 1].flatMap((at) => [
      open(at, bash('t')),
      argue(at, '{}'),
      whole('m', bash('t')),
      stop(at),
    ])
    const results = [answer('t', 'of one'), answer('t', 'of the other'), answer('t', 'of neither')]
    for (const messages of [
      [begin('m'), ...streamed],
      [whole('m', bash('t')), whole('m', bash('t'))],
    ]) {
      const events = translate([...messages, ...results])
      expect(ids(events, EventType.TOOL_CALL_START)).toEqual(['t', 't~2'])
      const told = events.filter(({ type }) => type === EventType.TOOL_CALL_RESULT)
      expect(told).toMatchObject([
        { toolCallId: 't', content: 'of one', metadata: { 'agui-runner': { isAmbiguous: true } } },
        { toolCallId: 't~2', content: 'of the other', metadata: { 'agui-runner': { isAmbiguous: true } } },
      ])
      expect(told).toHaveLength(2)
    }
  })

  test('the id of a call is known to whoever asks by its tool_use id', () => {
    const translator = new Translator()
    for (const message of [whole('m1', bash('c')), answer('c', ''), whole('m2', bash('c'))]) {
      translator.translate(message)
    }
    expect(translator.toolCallId('c')).toBe('c~2')
    expect(translator.toolCallId('other')).toBe('other')
  })
})

describe('blocks', () => {
  test('an assistant message that repeats a streamed block adds nothing', () => {
    const events = translate([
      begin('m'),
      open(0, TEXT),
      say(0, 'hi'),
      whole('m', { type: 'text', text: 'hi' }),
      stop(0),
    ])
    expect(deltas(events)).toEqual(['hi'])
  })

  test('an assistant message gives back the tail that the stream lost', () => {
    const events = translate([
      begin('m'),
      open(0, TEXT),
      say(0, 'hel'),
      whole('m', { type: 'text', text: 'hello' }),
    ])
    expect(deltas(events)).toEqual(['hel', 'lo'])
  })

  test('a message that comes twice is told once', () => {
    const message = { ...whole('m', { type: 'text', text: 'hi' }), uuid: 'u' }
    expect(deltas(translate([message, message]))).toEqual(['hi'])
  })

  test('empty text makes no message', () => {
    expect(translate([begin('m'), open(0, TEXT), say(0, ''), stop(0)])).toEqual([])
  })

  test('a pair of surrogates that was split arrives whole', () => {
    const events = translate([begin('m'), open(0, TEXT), say(0, 'a\ud83d'), say(0, '\ude00b'), stop(0)])
    expect(deltas(events)).toEqual(['a', '\ud83d\ude00b'])
  })

  test('the same holds in arguments and in thinking', () => {
    const thinking = (text: string): object => delta(1, { type: 'thinking_delta', thinking: text })
    const events = translate([
      begin('m'),
      open(0, bash('t')),
      argue(0, '"\ud83d'),
      argue(0, '\ude00"'),
      stop(0),
      open(1, { type: 'thinking', thinking: '' }),
      thinking('\ud83d'),
      thinking('\ude00'),
      stop(1),
    ])
    expect(deltas(events)).toEqual(['"', '\ud83d\ude00"', '\ud83d\ude00'])
  })

  test.each<[string, string[], string[]]>([
    ['at the end', ['a\ud83d'], ['a', '\ufffd']],
    ['before another delta', ['a\ud83d', 'b'], ['a', '\ufffdb']],
    ['at the start', ['\ude00b'], ['\ufffdb']],
  ])('half a pair %s is replaced', (_where, pieces, expected) => {
    const said = pieces.map((piece) => say(0, piece))
    expect(deltas(translate([begin('m'), open(0, TEXT), ...said, stop(0)]))).toEqual(expected)
  })

  test('a call without arguments has an empty object', () => {
    expect(deltas(translate([begin('m'), open(0, bash('t')), stop(0)]))).toEqual(['{}'])
  })

  test('a call behind empty text hangs on what was told before it', () => {
    const parents = (...blocks: object[]): unknown[] =>
      translate([begin('m'), ...blocks]).flatMap((event) =>
        event.type === EventType.TOOL_CALL_START ? [event.parentMessageId] : [],
      )
    expect(parents(open(0, TEXT), stop(0), open(1, bash('t')))).toEqual(['m:1'])
    expect(parents(open(0, TEXT), say(0, 'a'), open(1, TEXT), open(2, bash('t')))).toEqual(['m:0'])
    expect(parents(open(0, bash('t')), open(1, bash('u')))).toEqual(['m:0', 'm:0'])
  })

  test('what came whole is not retracted when its end is lost', () => {
    const said = [begin('m'), open(0, TEXT), say(0, 'hi'), whole('m', { type: 'text', text: 'hi' })]
    expect(types(translate([...said, begin('n')]))).not.toContain('CUSTOM')
  })

  test('a call whose arguments were cut is closed as it is, and taken back', () => {
    const events = translate([begin('m'), open(0, bash('t')), argue(0, '{"a')])
    expect(types(events)).toEqual(['TOOL_CALL_START', 'TOOL_CALL_ARGS', 'TOOL_CALL_END', 'CUSTOM'])
    expect(events.at(-1)).toMatchObject({
      name: 'agui-runner.retracted',
      value: { reason: 'cut', messageIds: [], toolCallIds: ['t'] },
    })
    expect(types(translate([begin('m'), open(0, bash('t'))]))).toEqual([
      'TOOL_CALL_START',
      'TOOL_CALL_END',
      'CUSTOM',
    ])
  })

  test('a call that came whole is not taken back, whether its block ended or not', () => {
    const said = [begin('m'), open(0, bash('t')), argue(0, '{}')]
    expect(types(translate([...said, whole('m', bash('t'))]))).not.toContain('CUSTOM')
    expect(types(translate([...said, stop(0)]))).not.toContain('CUSTOM')
  })

  test('a new answer closes and retracts what the one before left unfinished', () => {
    const events = translate([
      begin('m1'),
      open(0, TEXT),
      say(0, 'half'),
      begin('m2'),
      open(0, TEXT),
      say(0, 'whole'),
    ])
    expect(events).toContainEqual({
      type: 'CUSTOM',
      name: 'agui-runner.retracted',
      value: { reason: 'replaced', messageIds: ['m1:0'], toolCallIds: [] },
    })
  })

  test('an answer that the stream gave up on is told anew when it comes whole, under the same id', () => {
    const abandoned = { api_message_id: 'm', from_block_index: 0 }
    const events = translate([
      begin('m'),
      open(0, TEXT),
      say(0, 'hal'),
      { ...stream({ type: 'message_stop' }), abandoned_blocks: abandoned },
      whole('m', { type: 'text', text: 'whole' }),
    ])
    expect(ids(events, EventType.TEXT_MESSAGE_START)).toEqual(['m:0', 'm:1001'])
    expect(deltas(events)).toEqual(['hal', 'whole'])
  })

  test('a message that replaces others retracts them', () => {
    const first = { ...whole('m1', { type: 'text', text: 'no' }), uuid: 'u1' }
    const second = {
      ...whole('m2', { type: 'text', text: 'yes' }),
      uuid: 'u2',
      supersedes: ['u1', 'unheard'],
    }
    expect(translate([first, second]).at(-1)).toEqual({
      type: 'CUSTOM',
      name: 'agui-runner.retracted',
      value: { reason: 'superseded', messageIds: ['m1:0'], toolCallIds: [] },
    })
  })

  test('the result closes what is open before the run is asked to', () => {
    const translator = new Translator()
    for (const message of [begin('m'), open(0, TEXT), say(0, 'a')]) translator.translate(message)
    const result = { type: 'result', subtype: 'success', is_error: false }
    expect(types(translator.translate(result))).toEqual(['TEXT_MESSAGE_END'])
  })

  test('words aside do not disturb the answer that is being streamed', () => {
    const aside = {
      type: 'assistant',
      message: { id: 'aside', model: '<synthetic>', content: [{ type: 'text', text: 'note' }] },
    }
    const events = translate([begin('m'), open(0, TEXT), say(0, 'a'), aside, say(0, 'b'), stop(0)])
    expect(deltas(events)).toEqual(['a', 'note', 'b'])
    expect(types(events)).not.toContain('CUSTOM')
  })

  test('blocks of a kind that nobody knows are passed on once', () => {
    const block = { type: 'hologram', data: 'x' }
    const events = translate([begin('m'), open(0, block), stop(0), whole('m', block)])
    expect(events).toMatchObject([{ name: 'agui-runner.unknown', value: { kind: 'content_block/hologram' } }])
  })

  test('deltas of a message whose start was not seen are left to the whole message', () => {
    const events = translate([
      open(0, TEXT),
      say(0, 'lo'),
      stop(0),
      whole('m', { type: 'text', text: 'hello' }),
    ])
    expect(deltas(events)).toEqual(['hello'])
  })
})

describe('tool results', () => {
  test('a result that overtakes the end of its block closes the call first', () => {
    const events = translate([begin('m'), open(0, bash('t')), argue(0, '{}'), answer('t', 'ok'), stop(0)])
    expect(types(events)).toEqual(['TOOL_CALL_START', 'TOOL_CALL_ARGS', 'TOOL_CALL_END', 'TOOL_CALL_RESULT'])
  })

  test('a replayed message is not told again', () => {
    expect(types(translate([whole('m', bash('t')), { ...answer('t', 'ok'), isReplay: true }]))).not.toContain(
      'TOOL_CALL_RESULT',
    )
  })

  test('a second result of one call is dropped', () => {
    const events = translate([whole('m', bash('t')), answer('t', 'one'), answer('t', 'two')])
    expect(ids(events, EventType.TOOL_CALL_RESULT)).toEqual(['t'])
  })

  const text = (words: string): object => ({ type: 'text', text: words })
  const base64 = { type: 'base64', media_type: 'application/pdf', data: 'JVBE' }
  test.each<[string, unknown, unknown]>([
    ['a string', 'plain', 'plain'],
    ['nothing', undefined, ''],
    ['texts', [text('a'), text('b')], 'a\nb'],
    [
      'a document',
      [{ type: 'document', source: base64 }],
      [{ type: 'document', source: { type: 'data', value: 'JVBE', mimeType: 'application/pdf' } }],
    ],
    [
      'text beside an image by address',
      [text('see'), { type: 'image', source: { type: 'url', url: 'https://e.x/i.png' } }],
      [
        { type: 'text', text: 'see' },
        { type: 'image', source: { type: 'url', value: 'https://e.x/i.png' } },
      ],
    ],
    ['a document of text', [{ type: 'document', source: { type: 'text', data: 'words' } }], 'words'],
    ['an image that makes no sense', [{ type: 'image' }], '{"type":"image"}'],
    [
      'a reference',
      [{ type: 'tool_reference', tool_name: 'x' }],
      '{"type":"tool_reference","tool_name":"x"}',
    ],
    ['an object', { error_code: 'unavailable' }, '{"error_code":"unavailable"}'],
  ])('%s becomes content', (_what, content, expected) => {
    const events = translate([whole('m', bash('t')), answer('t', content)])
    expect(events.at(-1)).toMatchObject({ type: 'TOOL_CALL_RESULT', content: expected })
  })

  test('a tool of the client is shown by its own name and never answered here', () => {
    const call = { type: 'tool_use', id: 't', name: 'mcp__client__pick', input: {} }
    const translator = new Translator({ clientToolPrefix: 'mcp__client__' })
    const events = [whole('m', call), answer('t', 'later')].flatMap((message) =>
      translator.translate(message),
    )
    expect(events[0]).toMatchObject({ type: 'TOOL_CALL_START', toolCallName: 'pick' })
    expect(types(events)).not.toContain('TOOL_CALL_RESULT')
    expect(translator.pendingToolCallIds).toEqual(['t'])
  })

  test('nor is it in the run that follows', () => {
    const call = { type: 'tool_use', id: 't', name: 'mcp__client__pick', input: {} }
    const first = new Translator({ clientToolPrefix: 'mcp__client__' })
    first.translate(whole('m', call))
    first.close()
    const second = new Translator({ clientToolPrefix: 'mcp__client__', memory: first.memory })
    expect(second.translate(answer('t', 'blue'))).toEqual([])
    expect(second.pendingToolCallIds).toEqual([])
  })
})

describe('what Claude Code remarks', () => {
  const names = (events: readonly AguiEvent[]): string[] =>
    events.flatMap((event) => (event.type === EventType.CUSTOM ? [event.name] : []))

  test('thinking gives a life sign each 256 tokens, and begins anew with each block', () => {
    const tokens = [100, 255, 300, 500, 600, 10, 280].map((estimated_tokens) => ({
      type: 'system',
      subtype: 'thinking_tokens',
      estimated_tokens,
    }))
    const values = translate(tokens).map((event) =>
      event.type === EventType.CUSTOM ? event.value : undefined,
    )
    expect(values).toEqual([{ estimatedTokens: 300 }, { estimatedTokens: 600 }, { estimatedTokens: 280 }])
  })

  test('a heartbeat is about the call it names as its parent', () => {
    const beat = {
      type: 'tool_progress',
      tool_use_id: 't-heartbeat-1',
      parent_tool_use_id: 't',
      tool_name: 'Bash',
      elapsed_time_seconds: 30,
    }
    expect(translate([whole('m', bash('t')), beat]).at(-1)).toEqual({
      type: 'CUSTOM',
      name: 'agui-runner.tool_progress',
      value: { toolCallId: 't', toolName: 'Bash', elapsedSeconds: 30 },
    })
  })

  test('MCP servers are told when one of them does not work, and only then', () => {
    const init = (status: string): object => ({
      type: 'system',
      subtype: 'init',
      session_id: 's',
      mcp_servers: [
        { name: 'a', status: 'connected' },
        { name: 'b', status },
      ],
    })
    expect(names(translate([init('connected')]))).toEqual([])
    expect(names(translate([init('failed')]))).toEqual(['agui-runner.mcp_servers'])
  })

  test('the Claude session id follows a reset', () => {
    const translator = new Translator()
    translator.translate({ type: 'conversation_reset', session_id: 'old', trigger: 'clear' })
    expect(translator.sessionId).toBe('old')
    translator.translate({ type: 'system', subtype: 'init', session_id: 'new' })
    expect(translator.memory.sessionId).toBe('new')
  })

  test('a memory of another making is an empty one', () => {
    expect(new Translator({ memory: { usage: 'much' } }).memory).toEqual(new Translator().memory)
  })
})

describe('a run that ends while its turn goes on', () => {
  test('what was cut goes on under its own id', () => {
    const translator = new Translator()
    const before = [begin('m'), open(0, TEXT), say(0, 'a')].flatMap((message) =>
      translator.translate(message),
    )
    const between = translator.suspend()
    const after = [say(0, 'b'), stop(0)].flatMap((message) => translator.translate(message))
    expect(types([...before, ...between])).toEqual(types(after))
    expect(ids(after, EventType.TEXT_MESSAGE_START)).toEqual(['m:0'])
    expect(deltas([...before, ...after])).toEqual(['a', 'b'])
  })

  test('what is not heard of again is not opened again', () => {
    const translator = new Translator()
    for (const message of [begin('m'), open(0, TEXT), say(0, 'a')]) translator.translate(message)
    translator.suspend()
    expect(translator.close()).toEqual([])
  })

  test('pending calls of the client are those of the run alone', () => {
    const call = { type: 'tool_use', id: 't', name: 'c__pick', input: {} }
    const translator = new Translator({ clientToolPrefix: 'c__' })
    translator.translate(whole('m', call))
    expect(translator.pendingToolCallIds).toEqual(['t'])
    translator.suspend()
    expect(translator.pendingToolCallIds).toEqual([])
  })
})

test('200,000 deltas pass in less than the two seconds that 100,000 a second would take', () => {
  const translator = new Translator()
  translator.translate(begin('m'))
  translator.translate(open(0, TEXT))
  const message = say(0, 'word ')
  const before = performance.now()
  let events = 0
  for (let count = 0; count < 200_000; count += 1) events += translator.translate(message).length
  expect(events).toBe(200_001)
  expect(performance.now() - before).toBeLessThan(2_000)
})
