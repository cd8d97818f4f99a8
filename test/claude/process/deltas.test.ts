// Deltas pass the SDK as one line for many. What comes behind it are Claude Code's messages, in their order.
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { Deltas } from '../../../src/claude/process/deltas.ts'

const SESSION = randomUUID()

type Delta = { type: string; [member: string]: unknown }

/** A line as Claude Code 2.1.332 writes it. */
function deltaLine(delta: Delta, facts: object = {}): string {
  const line = {
    type: 'stream_event',
    event: { type: 'content_block_delta', index: 0, delta },
    session_id: SESSION,
    parent_tool_use_id: null,
    uuid: randomUUID(),
    api_message_id: 'msg_1',
    ...facts,
  }
  return JSON.stringify(line)
}

const textLine = (text: string, facts?: object): string => deltaLine({ type: 'text_delta', text }, facts)
const other = (name: string): string => JSON.stringify({ type: 'system', subtype: name, uuid: randomUUID() })

/** What the SDK does: reads lines, skips what is no JSON, and passes messages on. */
async function through(pieces: Iterable<Buffer>): Promise<{ messages: unknown[]; lines: string[] }> {
  const deltas = Readable.from(pieces, { objectMode: false }).pipe(new Deltas())
  const messages: unknown[] = []
  const lines: string[] = []
  for await (const line of createInterface({ input: deltas })) {
    lines.push(line)
    const given = parsed(line)
    if (given === undefined) continue
    const { message, more } = deltas.heard(given)
    messages.push(message, ...more.map((text) => withText(message, text)))
  }
  return { messages: messages.map(withoutUuid), lines }
}

function parsed(line: string): { type: string } | undefined {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

function withText(message: unknown, text: string): unknown {
  const copy = structuredClone(message) as { event: { delta: Record<string, unknown> } }
  const [name = ''] = Object.keys(copy.event.delta).filter((key) => key !== 'type')
  copy.event.delta[name] = text
  return copy
}

function withoutUuid(message: unknown): unknown {
  const { uuid: _uuid, ...rest } = message as { uuid?: string }
  return rest
}

function piecesOf(text: string, bytes: number): Buffer[] {
  const whole = Buffer.from(text)
  const pieces: Buffer[] = []
  for (let at = 0; at < whole.length; at += bytes) pieces.push(whole.subarray(at, at + bytes))
  return pieces
}

/** Texts that would end or move a line's parts if they were searched carelessly. */
const TEXTS = [
  '',
  ' ',
  'plain',
  'ü 猫 🐈',
  'a "quoted" word',
  'line\nbreak\r\n\t',
  '\\',
  '\\\\',
  'ends in \\"',
  '"}},"session_id":"',
  `"}},"session_id":"${SESSION}","parent_tool_use_id":null,"uuid":"`,
  '\u2028\u2029\u0000',
  '{"type":"stream_event","event":{"type":"content_block_delta","index":0,',
  '\ud83d',
]

const LINES = [
  other('init'),
  ...TEXTS.map((text) => textLine(text)),
  other('status'),
  textLine('after'),
  ...TEXTS.map((thinking) => deltaLine({ type: 'thinking_delta', thinking })),
  ...TEXTS.map((text) => deltaLine({ type: 'input_json_delta', partial_json: JSON.stringify({ text }) })),
  deltaLine({ type: 'signature_delta', signature: 'abc' }),
  deltaLine({ type: 'signature_delta', signature: 'def' }),
  textLine('another block', {
    event: { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'b' } },
  }),
  textLine("a subagent's", { parent_tool_use_id: 'toolu_1' }),
  textLine("a subagent's", { parent_tool_use_id: 'toolu_1' }),
  textLine('another session', { session_id: randomUUID() }),
  textLine('another message', { api_message_id: 'msg_2' }),
  textLine('older', { api_message_id: undefined }),
  textLine('older', { api_message_id: undefined }),
  textLine('newer', { extra: { member: true } }),
  textLine('newer', { extra: { member: false } }),
  textLine('a shorter id', { uuid: '1' }),
  other('result'),
]

const PIECES = [1, 7, 64, 1000, 1e6]
test.each(PIECES)('every message comes in its place with its own text, cut after %i bytes', async (bytes) => {
  const { messages } = await through(piecesOf(`${LINES.join('\n')}\n`, bytes))
  expect(messages).toEqual(LINES.map((line) => withoutUuid(JSON.parse(line))))
})

test('the deltas of a block that come together are one line to the SDK', async () => {
  const texts = Array.from({ length: 100 }, (_, index) => textLine(`${index} "x"`))
  const { lines, messages } = await through(
    piecesOf(`${[other('a'), ...texts, other('b')].join('\n')}\n`, 1e6),
  )
  expect(lines).toHaveLength(3)
  expect(messages).toHaveLength(102)
})

test('what is no message goes to the SDK as it is', async () => {
  const cut = textLine('cut').slice(0, -20)
  const control = textLine('no\tJSON').replace('\\t', '\t')
  const given = ['a warning', cut, textLine('whole'), control, cut, 'the last line has no end']
  const { lines } = await through(piecesOf(given.join('\n'), 50))
  expect(lines.filter((_, index) => index !== 2)).toEqual(given.filter((_, index) => index !== 2))
})

test('the deltas that a real Claude Code has written are recognised', async () => {
  const recorded = readFileSync(new URL('../../fixtures/claude/text.jsonl', import.meta.url), 'utf8')
  const { lines, messages } = await through(piecesOf(recorded, 1e6))
  expect(messages).toEqual(
    recorded
      .trim()
      .split('\n')
      .map((line) => withoutUuid(JSON.parse(line))),
  )
  expect(lines.some((line) => line.includes('content_block_delta'))).toBe(false)
})
