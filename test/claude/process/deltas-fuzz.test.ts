// Whatever Claude Code writes, and wherever a read cuts it: every reader gets what it would get line by line.
// FUZZ_RUNS tries more seeds, FUZZ_SEED one again.
import { randomUUID } from 'node:crypto'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import type { AguiEvent } from '../../../src/agui/event.ts'
import { Deltas, type Heard } from '../../../src/claude/process/deltas.ts'
import { Translator } from '../../../src/claude/translate/translator.ts'
import { framesFor } from '../../../src/http/stream/encoding.ts'
import { isObject, parseJson } from '../../../src/json.ts'
import { createRedactor } from '../../../src/redaction/redactor.ts'
import { Batch } from '../../../src/storage/batch.ts'
import { Oversize } from '../../../src/thread/oversize.ts'
import { FAKE_TOKENS } from '../../redaction/fake-secrets.ts'
import { createRandom, type Random } from '../../support/random.ts'

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 40)
const EVENT_BYTES_MAX = 2048
const KNOWN = 'a-known-secret-"quoted"\\ü'
const SESSION = randomUUID()

/** What a careless search would take for a part of a line, what a read or a limit may cut, and what must not be shown. */
const PIECES = [
  ...[
    '',
    ' ',
    'a',
    'word ',
    'ü',
    '猫',
    '🐈',
    '\ud83d',
    '\udc08',
    '"',
    '\\',
    '\\"',
    '\\\\',
    '\n',
    '\r',
    '\t',
    '\0',
  ],
  ...[
    '\u0085',
    '\u2028',
    '\u2029',
    '\u007f',
    '"}},"session_id":"',
    '{"type":"stream_event","event":{',
    'x'.repeat(500),
  ],
  ...[KNOWN, ...FAKE_TOKENS.map(({ text }) => text)],
]
const KINDS = [
  ['text_delta', 'text', { type: 'text', text: '' }],
  ['thinking_delta', 'thinking', { type: 'thinking', thinking: '', signature: '' }],
  ['input_json_delta', 'partial_json', { type: 'tool_use', id: 'toolu_', name: 'Bash', input: {} }],
] as const

/** Lines of several answers at once, whose blocks stream side by side, with what is no delta and what is no JSON between. */
function linesOf(random: Random): string[] {
  const pick = <T>(from: readonly T[]): T => from[random(from.length)] as T
  const chance = (of: number): boolean => random(of) === 0
  const lines: string[] = []
  const say = (event: object, parent: string | null, message = 'msg_1'): void => {
    const facts = {
      session_id: SESSION,
      parent_tool_use_id: parent,
      uuid: randomUUID(),
      api_message_id: message,
    }
    lines.push(JSON.stringify({ type: 'stream_event', event, ...facts }))
  }
  const parents = [null, null, 'toolu_sub']
  const blocks = parents.flatMap((parent, lane) => {
    say({ type: 'message_start', message: { id: `msg_${lane}` } }, parent)
    return KINDS.map(([type, member, block], index) => {
      const content_block = 'id' in block ? { ...block, id: `toolu_${lane}` } : block
      say({ type: 'content_block_start', index, content_block }, parent)
      return { parent, index, type, member }
    })
  })
  /** What is left of a text that comes in several deltas. */
  const left = new Map<object, string>()
  for (let count = random(120); count > 0; ) {
    const block = pick(blocks)
    for (let series = random(12); series >= 0 && count > 0; series--, count--) {
      const whole = left.get(block) || `${pick(PIECES)}${pick(PIECES)}${pick(PIECES)}`
      const cut = chance(2) ? whole.length : random(whole.length + 1)
      left.set(block, whole.slice(cut))
      const delta = { type: block.type, [block.member]: whole.slice(0, cut) }
      say({ type: 'content_block_delta', index: block.index, delta }, block.parent)
      if (chance(12)) lines.push(damaged(lines.at(-1) ?? '', random))
    }
    if (chance(6)) say({ type: 'content_block_stop', index: block.index }, block.parent)
    if (chance(6)) lines.push(pick(OTHERS))
  }
  return lines
}

const OTHERS = [
  '',
  'a warning',
  '{"type":"stream_event"}',
  JSON.stringify({ type: 'system', subtype: 'status', status: 'requesting', session_id: SESSION }),
  JSON.stringify({ type: 'stream_event', event: { type: 'message_stop' }, parent_tool_use_id: null }),
  JSON.stringify({
    type: 'stream_event',
    event: { type: 'message_start', message: { id: 'msg_9' } },
    parent_tool_use_id: null,
  }),
]

/** Looks like a delta and is another line, or none. */
function damaged(line: string, random: Random): string {
  const at = random(line.length + 1)
  const ways = [
    line.slice(0, at),
    line.slice(at),
    line.slice(0, at) + line.slice(at + 1),
    `${line.slice(0, at)}${['"', '\\', '\t', '\u0001', ' ', '}', ',', '0'][random(8)]}${line.slice(at)}`,
    `${line}${line}`,
    ` ${line}`,
    line.replace('"api_message_id":"msg_1"', '"more":1'),
    line.replace(/"uuid":"[^"]*"/, '"uuid":"short"'),
    line.replace('}},"session_id"', ',"more":1}},"session_id"'),
    line.replace('"index":', '"index":1'),
  ]
  return ways[random(ways.length)] ?? ''
}

function cutAnywhere(text: string, random: Random): Buffer[] {
  const whole = Buffer.from(text)
  const most = [3, 100, 3000, whole.length][random(4)] ?? 1
  const pieces: Buffer[] = []
  for (let at = 0; at < whole.length; ) {
    const end = at + 1 + random(most)
    pieces.push(whole.subarray(at, end))
    at = end
  }
  return pieces
}

async function merged(text: string, random: Random): Promise<Heard[]> {
  const deltas = Readable.from(cutAnywhere(text, random), { objectMode: false }).pipe(new Deltas())
  const heard: Heard[] = []
  for await (const line of createInterface({ input: deltas })) {
    const message = parseJson(line)
    if (isObject(message)) heard.push(deltas.heard(message as { type: string }))
  }
  return heard
}

/** What the log gets of these messages, in batches of any size. */
function framesOf(heard: readonly Heard[], sizeOf: () => number): { plain: string[]; older: string[] } {
  const translator = new Translator()
  const redaction = createRedactor({ values: [KNOWN] }).createStream()
  const oversize = new Oversize({ eventBytesMax: EVENT_BYTES_MAX, keep: () => 'blob', urlOf: (id) => id })
  const events: AguiEvent[] = []
  const take = (given: readonly AguiEvent[]): void => {
    for (const event of given)
      for (const shown of redaction.redact(event)) events.push(...oversize.fit(shown))
  }
  for (const { message, more } of heard) take(translator.translate(message, more))
  take(translator.close())
  for (const rest of redaction.flush()) events.push(...oversize.fit(rest))
  const frames: { plain: string[]; older: string[] } = { plain: [], older: [] }
  for (let first = 1; events.length > 0; ) {
    const batch = Batch.decode(Batch.of('r', events.splice(0, sizeOf()), { first, at: 0 }).encode())
    first = batch.last + 1
    for (const [name, dialect] of [
      ['plain', '1.0'],
      ['older', 'older'],
    ] as const) {
      const sent = framesFor({ dialect, threadId: 't' }, batch)
      frames[name].push(...sent.map(({ seq, json }) => `${seq} ${json}`))
    }
  }
  return frames
}

test('merged and line by line, every reader gets the same', { timeout: 600_000 }, async () => {
  const seeds = process.env['FUZZ_SEED'] === undefined ? RUNS : 1
  for (let run = 0; run < seeds; run++) {
    const seed = Number(process.env['FUZZ_SEED'] ?? run)
    const random = createRandom(seed)
    const lines = linesOf(random)
    const plain = lines.map(parseJson).filter(isObject)
    const expected = framesOf(
      plain.map((message) => ({ message, more: [] })),
      () => 1,
    )
    const heard = await merged(`${lines.join('\n')}\n`, random)
    expect(
      framesOf(heard, () => 1 + random(50)),
      `FUZZ_SEED=${seed}`,
    ).toEqual(expected)
  }
})
