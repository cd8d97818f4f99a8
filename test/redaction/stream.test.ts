import { EventType } from '@ag-ui/core'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import type { AguiEvent } from '../../src/agui/event.ts'
import { OpenItems } from '../../src/agui/grammar.ts'
import { createRedactor } from '../../src/redaction/redactor.ts'
import { judge } from '../support/agui-judge.ts'
import { caseNames, readGolden } from '../support/claude-cases.ts'
import { VOLUME } from '../support/volume.ts'
import { FAKE_PEM, FAKE_TOKENS, FAKE_VALUES } from './fake-secrets.ts'

const redactor = createRedactor({ values: Object.values(FAKE_VALUES) })

type Kind = 'text' | 'args' | 'reasoning'

function delta(kind: Kind, text: string, id = 'x'): AguiEvent {
  if (kind === 'text') return { type: EventType.TEXT_MESSAGE_CONTENT, messageId: id, delta: text }
  if (kind === 'args') return { type: EventType.TOOL_CALL_ARGS, toolCallId: id, delta: text }
  return { type: EventType.REASONING_MESSAGE_CONTENT, messageId: id, delta: text }
}

function end(kind: Kind, id = 'x'): AguiEvent {
  if (kind === 'text') return { type: EventType.TEXT_MESSAGE_END, messageId: id }
  if (kind === 'args') return { type: EventType.TOOL_CALL_END, toolCallId: id }
  return { type: EventType.REASONING_MESSAGE_END, messageId: id }
}

function deltasOf(events: readonly AguiEvent[]): string[] {
  return events.flatMap((event) => ('delta' in event && typeof event.delta === 'string' ? [event.delta] : []))
}

/** What a client gets of a message that was sent in these pieces. */
function streamed(kind: Kind, pieces: readonly string[]): string {
  const stream = redactor.createStream()
  const out = pieces.flatMap((piece) => stream.redact(delta(kind, piece)))
  out.push(...stream.redact(end(kind)))
  expect(out.at(-1)).toEqual(end(kind))
  return deltasOf(out).join('')
}

const SECRETS = [
  ...FAKE_TOKENS,
  ...Object.entries(FAKE_VALUES).map(([name, value]) => ({ name, text: value, secret: value })),
]
let splits = 0
afterAll(() => console.log(`${SECRETS.length} secrets, ${splits} ways of splitting them`))

describe.each(['text', 'args', 'reasoning'] as const)('a secret that is split in %s', (kind) => {
  const spelled = (text: string): string => (kind === 'args' ? JSON.stringify({ content: text }) : text)

  test.each(SECRETS)('$name: in two deltas, at every position', ({ text, secret }) => {
    const whole = spelled(`A line\n${text} and more`)
    const expected = redactor.redactText(whole)
    expect(expected).not.toContain(secret)
    for (let at = 0; at <= whole.length; at++) {
      expect(streamed(kind, [whole.slice(0, at), whole.slice(at)])).toBe(expected)
      splits += 1
    }
  })

  test.each(SECRETS)('$name: in three deltas, at pairs of positions, and in deltas of one', ({ text }) => {
    const whole = spelled(text)
    const expected = redactor.redactText(whole)
    // Every position meets every eleventh other one, and all of them with AGUI_VOLUME=5; each length of the middle comes up.
    // A long secret's inside is alike everywhere: there it is every 23rd.
    const stride = whole.length > 120 ? 23 : VOLUME < 5 ? 11 : 1
    for (let one = 1; one < whole.length; one++) {
      for (let two = one + 1 + (one % stride); two < whole.length; two += stride) {
        const out = streamed(kind, [whole.slice(0, one), whole.slice(one, two), whole.slice(two)])
        if (out !== expected) expect(out, `split at ${one} and ${two}`).toBe(expected)
        splits += 1
      }
    }
    expect(
      streamed(
        kind,
        [...whole].flatMap((char) => char.split('')),
      ),
    ).toBe(expected)
  })
})

const prose = fc.oneof(
  fc.constantFrom(
    's',
    'sk',
    'gh',
    'ey',
    ' ',
    '\n',
    '\\',
    '"',
    '://',
    '@',
    ':',
    '\u{1f600}',
    'Bearer ',
    '-----',
  ),
  fc.string({ unit: 'grapheme', maxLength: 12 }),
)
const embedded = fc.constantFrom(...SECRETS.map(({ text }) => text))
const cutShort = fc.tuple(embedded, fc.nat(60)).map(([text, length]) => text.slice(0, length))
const texts = fc.array(fc.oneof(prose, embedded, cutShort), { maxLength: 12 }).map((parts) => parts.join(''))
const pieces = fc
  .tuple(texts, fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 }))
  .map(([text, places]) => {
    const at = [...new Set(places.map((place) => Math.floor(place * text.length)))].sort((a, b) => a - b)
    return [0, ...at].map((start, index) => text.slice(start, at[index] ?? text.length))
  })

describe('whatever the text and wherever it is cut', () => {
  test('what comes out is the whole text redacted', () => {
    fc.assert(
      fc.property(pieces, (cut) => {
        const expected = redactor.redactText(cut.join(''))
        expect(streamed('text', cut)).toBe(expected)
        for (const value of Object.values(FAKE_VALUES)) expect(expected).not.toContain(value)
      }),
      { numRuns: 3000 },
    )
  })

  test('no more waits than the limit, no delta is empty, no character is halved', () => {
    fc.assert(
      fc.property(pieces, (cut) => {
        const stream = redactor.createStream()
        for (const piece of [...cut, '']) {
          for (const out of deltasOf(stream.redact(delta('text', piece)))) {
            if (piece !== '') expect(out).not.toBe('')
            if (!/\p{Surrogate}/u.test(cut.join(''))) expect(out).not.toMatch(/\p{Surrogate}/u)
          }
          expect(stream.heldChars).toBeLessThanOrEqual(redactor.heldCharsMax)
        }
      }),
      { numRuns: 1000 },
    )
  })
})

const EVERYWHERE = ['delta', 'metadata', 'rawEvent']
/** Those of the events that come whole; a streamed delta has none of them. */
const FIELDS = [
  ...EVERYWHERE,
  'content',
  'value',
  'snapshot',
  'event',
  'input',
  'messages',
  'message',
  'outcome',
]
const STREAMED: readonly EventType[] = (['text', 'args', 'reasoning'] as const).map(
  (kind) => delta(kind, '').type,
)

test.each(Object.values(EventType))('%s tells no secret, in whatever field and however deep', (type) => {
  const isStreamed = STREAMED.includes(type)
  for (const secret of [FAKE_VALUES['quotes and backslashes'] ?? '', FAKE_TOKENS[0]?.text ?? '']) {
    const deep = [{ path: `/${secret}`, value: [{ [secret]: `a ${secret} b` }] }]
    for (const field of isStreamed ? EVERYWHERE : FIELDS) {
      const value = isStreamed && field === 'delta' ? `a ${secret} b` : deep
      const event = { type, messageId: 'm', toolCallId: 't', delta: 'x', [field]: value }
      const stream = redactor.createStream()
      const told = JSON.stringify([...stream.redact(event as AguiEvent), ...stream.flush()])
      expect(told, field).toContain('[redacted]')
      expect(told, field).not.toContain(JSON.stringify(secret).slice(1, -1))
    }
  }
})

test('a private key waits although a word touches it', () => {
  const text = `a${FAKE_PEM}`
  for (let at = 1; at < text.length; at++) {
    expect(streamed('text', [text.slice(0, at), text.slice(at)])).toBe('a[redacted]')
  }
})

test('nothing waits of what can be no secret any more', () => {
  const stream = createRedactor({ values: [] }).createStream()
  for (const text of ['Hello world. This is', ' a disk', ' task; http://localhost:8080/', ' 12.5 %']) {
    stream.redact(delta('text', text))
    expect(stream.heldChars, text).toBe(0)
  }
  stream.redact(delta('text', ' gh'))
  expect(stream.heldChars).toBe(2)
  stream.redact(delta('text', 'ost'))
  expect(stream.heldChars).toBe(0)
})

test('a delta without any beginning of a secret is the same object', () => {
  const stream = redactor.createStream()
  const event = delta('text', 'Plain words. ')
  expect(stream.redact(event)[0]).toBe(event)
})

describe('the order of events', () => {
  test('messages that run side by side keep apart, and each is told before its end', () => {
    const value = FAKE_VALUES['plain'] ?? ''
    const stream = redactor.createStream()
    const all = [
      delta('text', `a ${value.slice(0, 10)}`, 'one'),
      delta('args', value.slice(0, 10), 'one'),
      delta('reasoning', `c ${value.slice(0, 10)}`, 'one'),
      delta('text', `b ${value.slice(0, 10)}`, 'two'),
      delta('text', value.slice(10), 'two'),
      end('args', 'one'),
      delta('text', `${value.slice(10)}.`, 'one'),
      end('text', 'one'),
      end('text', 'two'),
      end('reasoning', 'one'),
    ].flatMap((event) => stream.redact(event))
    const textOf = (type: string, id: string): string[] =>
      deltasOf(all.filter((event) => event.type === type && 'messageId' in event && event.messageId === id))
    expect(textOf(EventType.TEXT_MESSAGE_CONTENT, 'one').join('')).toBe('a [redacted].')
    expect(textOf(EventType.TEXT_MESSAGE_CONTENT, 'two').join('')).toBe('b [redacted]')
    expect(textOf(EventType.REASONING_MESSAGE_CONTENT, 'one').join('')).toBe(`c ${value.slice(0, 10)}`)
    expect(all.findIndex(({ type }) => type === EventType.TOOL_CALL_ARGS)).toBe(
      all.findIndex(({ type }) => type === EventType.TOOL_CALL_END) - 1,
    )
  })

  // The text of every delta is made to wait, so that each one is told late.
  test.each(caseNames())('%s stays legal when all its text waits', async (name) => {
    const waiting = createRedactor({ values: [] })
    const stream = waiting.createStream()
    const open = new OpenItems()
    const events = (readGolden(name) as AguiEvent[]).flatMap((event) => {
      const isDelta = deltasOf([event]).length > 0
      const changed =
        isDelta && event.type !== EventType.TOOL_CALL_ARGS ? { ...event, delta: ' sk-a' } : event
      return stream.redact(changed as AguiEvent)
    })
    for (const event of events) open.apply(event)
    expect(open.closing()).toEqual([])
    expect((await judge(events)).problems).toEqual((await judge(readGolden(name))).problems)
  })
})
