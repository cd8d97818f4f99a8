import { EventType } from '@ag-ui/core'
import { describe, expect, test } from 'vitest'
import type { AguiEvent } from '../../src/agui/event.ts'
import { OpenItems } from '../../src/agui/grammar.ts'
import { effectOf, ITEMS, isDelta, typesOf } from '../../src/agui/items.ts'
import { caseNames, readGolden } from '../support/claude-cases.ts'

const IDS = { messageId: 'm', toolCallId: 't', entityId: 'e', stepName: 's', subagentRunId: 'r' }

test('every event type of this AG-UI is in the table, and nothing else is', () => {
  expect(Object.keys(ITEMS).sort()).toEqual(Object.values(EventType).sort())
})

describe.each(Object.values(EventType))('%s', (type) => {
  const row = ITEMS[type]

  test('names its item by the member that the table says', () => {
    const effect = effectOf({ type, ...IDS })
    expect(effect?.id).toBe(row === undefined ? undefined : IDS[row.id])
    expect(effect?.kind).toBe(row?.kind)
  })

  test('closes what the same item opened', () => {
    if (row?.kind !== 'close') return
    const opener = typesOf(row.item).find((other) => effectOf({ type: other })?.kind === 'open')
    expect(effectOf({ type: opener ?? '', ...IDS })?.key).toBe(effectOf({ type, ...IDS })?.key)
  })

  test('can be closed by the runner when it opens something', () => {
    if (row?.kind !== 'open') return
    const open = new OpenItems()
    open.apply({ type, ...IDS } as AguiEvent)
    const [closing] = open.closing()
    expect(effectOf(closing ?? { type: '' })).toMatchObject({ item: row.item, kind: 'close' })
  })
})

test('steps of one name are told apart by their owners', () => {
  const step: AguiEvent = { type: EventType.STEP_STARTED, stepName: 's' }
  const other: AguiEvent = { ...step, subagentRunId: 'r' }
  expect(effectOf(step)?.key).not.toBe(effectOf(other)?.key)
})

test('a type that this AG-UI does not have speaks of no item', () => {
  expect(effectOf({ type: 'SOMETHING_LATER' })).toBeUndefined()
})

test.each(caseNames())('what the golden stream %s adds to is open', (name) => {
  const open = new Set<string>()
  for (const event of readGolden(name) as AguiEvent[]) {
    const effect = effectOf(event)
    if (isDelta(event)) expect([...open]).toContain(effect?.key)
    if (effect?.kind === 'open') open.add(effect.key)
    if (effect?.kind === 'close') expect(open.delete(effect.key)).toBe(true)
  }
  expect([...open]).toEqual([])
})
