// What older clients are told, read by the parsers that they carry.
import { EventType } from '@ag-ui/core'
import { EventSchema } from '@ag-ui/core/schemas'
import { describe, expect, test } from 'vitest'
import { OLDER, ProtocolVersion, toOlder } from '../../src/agui/dialect.ts'
import type { AguiEvent } from '../../src/agui/event.ts'
import { parseRunInput } from '../../src/agui/input.ts'
import { ITEMS } from '../../src/agui/items.ts'
import { caseNames, readGolden } from '../support/claude-cases.ts'
import { ids, PARTS, REFUSED, TAKEN } from '../support/event-shapes.ts'
import { OLDER_CLIENTS } from '../support/older-clients.ts'

const older = (event: AguiEvent) => toOlder(event, 'thread/1')
describe.each(OLDER_CLIENTS)('the parser of $version', ({ accepts }) => {
  test.each(caseNames())('takes every event of the golden stream %s', async (name) => {
    for (const event of readGolden(name)) {
      for (const told of older(EventSchema.parse(event) as AguiEvent)) {
        expect(await accepts(told), JSON.stringify(told).slice(0, 200)).toBe(true)
      }
    }
  })

  test.each([...REFUSED, ...TAKEN])('takes %s', async (_what, event) => {
    const told = older(event)
    expect(told).not.toEqual([])
    for (const one of told) expect(await accepts(one), JSON.stringify(one)).toBe(true)
  })
})

test.each(REFUSED)('%s is refused by some older client as it stands', async (_what, event) => {
  const verdicts = await Promise.all(OLDER_CLIENTS.map(({ accepts }) => accepts(event)))
  expect(verdicts).toContain(false)
})

test.each(TAKEN)('%s is told to everybody as it stands', (_what, event) => {
  expect(older(event)).toEqual([event])
})

describe('the table', () => {
  test('has a row for every event type of this AG-UI, and none else', () => {
    expect(Object.keys(OLDER).sort()).toEqual(Object.values(EventType).sort())
  })

  test.each(Object.entries(OLDER))('says of %s what is done with it', (type, row) => {
    expect(row.because).not.toBe('')
    expect('view' in row).toBe(row.fate === 'changed')
    if (row.fate === 'changed') return
    const event = { type, ...ids } as AguiEvent
    expect(older(event)[0]).toBe(event)
  })

  test('keeps whatever adds text: a batch of nothing else goes to every reader as it is stored', () => {
    const adding = Object.values(EventType).filter((type) => ITEMS[type]?.text === 'delta')
    expect(adding.map((type) => OLDER[type].fate)).toEqual(adding.map(() => 'kept'))
    expect(adding).toContain(EventType.TEXT_MESSAGE_CONTENT)
  })

  test('leaves out a type that only a later runner knows', () => {
    expect(older({ type: 'SOMETHING_LATER' } as unknown as AguiEvent)).toEqual([])
  })
})

describe('nothing is lost', () => {
  test('parts of a result are a text with a line for each that is none', () => {
    expect(
      older({ type: EventType.TOOL_CALL_RESULT, messageId: 'm/1', toolCallId: 'c', content: PARTS }),
    ).toEqual([
      {
        type: 'TOOL_CALL_RESULT',
        messageId: 'm/1',
        toolCallId: 'c',
        content: [
          'a shot',
          '[image image/png, 5 bytes: GET /sessions/thread%2F1/messages/m%2F1/parts/1]',
          '[document: https://x.test/a]',
        ].join('\n'),
      },
    ])
  })

  test('a cancelled run is told from success', () => {
    const told = older({ type: EventType.RUN_FINISHED, ...ids, outcome: { type: 'cancelled' }, usage: [] })
    expect(told).toEqual([
      { type: 'CUSTOM', name: 'agui-runner.cancelled', value: { reason: expect.any(String) } },
      { type: 'RUN_FINISHED', ...ids, usage: [] },
    ])
  })

  test('a run that waits for a person says so', () => {
    const event: AguiEvent = {
      type: EventType.RUN_FINISHED,
      ...ids,
      outcome: { type: 'interrupt', interrupts: [{ id: 'i', reason: 'tool_call' }] },
    }
    expect(older(event)).toEqual([event])
  })

  test('what a subagent says of itself goes in an event of ours', () => {
    const event: AguiEvent = { type: EventType.SUBAGENT_ERROR, subagentRunId: 's', message: 'It fell.' }
    expect(older(event)).toEqual([{ type: 'CUSTOM', name: 'agui-runner.subagent', value: event }])
  })

  test("a user's media come back as they were sent", () => {
    const parts = [
      ...PARTS,
      { type: 'image', source: { type: 'url', value: 'https://x.test/b', mimeType: 'image/gif' } },
      { type: 'video', source: { type: 'url', value: 'https://x.test/c' } },
      { type: 'document', source: { type: 'file', value: 'file-1', mimeType: 'application/pdf' } },
    ] as const
    const [told] = older({
      type: EventType.MESSAGES_SNAPSHOT,
      messages: [{ id: 'u', role: 'user', content: [...parts] }],
    })
    const { input } = parseRunInput({ ...ids, ...JSON.parse(JSON.stringify(told)) })
    expect(input.messages[0]?.content).toEqual(parts)
  })
})

test.each([
  ['1.0', '1.0'],
  ['1.7', '1.0'],
  ['0', 'older'],
  ['0.0.59', 'older'],
])('protocolVersion %s is %s', (said, dialect) => {
  expect(ProtocolVersion.parse(said)).toBe(dialect)
})

test.each(['', '2.0', 'v1', '1.', '10', ' 0'])('protocolVersion "%s" is none', (said) => {
  expect(ProtocolVersion.safeParse(said).success).toBe(false)
})
