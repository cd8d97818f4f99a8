import { EventType } from '@ag-ui/core'
import { expect, test } from 'vitest'
import { OpenItems } from '../../../src/agui/grammar.ts'
import { Translator } from '../../../src/claude/translate/translator.ts'
import { caseNames, readGolden, readMessages, toEvents } from '../../support/claude-cases.ts'
import { RECORDING_CASES } from '../../support/recording-cases.ts'

const names = caseNames()

/** Of one version, where it says something else than the others; kept, not recorded anew. */
const OF_ONE_VERSION = /^\d{3}-/

test('every case of the recorder is recorded, and nothing else', () => {
  expect(names.filter((name) => !OF_ONE_VERSION.test(name))).toEqual(Object.keys(RECORDING_CASES).sort())
})

test.each(names)('%s becomes its golden events', (name) => {
  const events: unknown = JSON.parse(JSON.stringify(toEvents(readMessages(name), name)))
  expect(events).toEqual(readGolden(name))
})

test.each(names)('%s holds nothing that the translator does not know', (name) => {
  const unknown = toEvents(readMessages(name), name).filter(
    (event) => event.type === EventType.CUSTOM && event.name === 'agui-runner.unknown',
  )
  expect(unknown).toEqual([])
})

test.each(names)('%s leaves nothing open, wherever it is cut', (name) => {
  const messages = readMessages(name)
  for (let length = 0; length <= messages.length; length += 1) {
    const translator = new Translator()
    const items = new OpenItems()
    const cut = messages.slice(0, length).flatMap((message) => translator.translate(message))
    for (const event of [...cut, ...translator.close()]) items.apply(event)
    expect(items.closing()).toEqual([])
    expect(translator.close()).toEqual([])
  }
})

/** What the model said on the main thread, as the whole `assistant` messages have it. */
function wholeTexts(messages: readonly unknown[]): string[] {
  return messages.flatMap((message) => {
    const { type, error, message: said } = Object(message)
    if (type !== 'assistant' || error !== undefined) return []
    return said.content.flatMap((block: { type: string; text: string }) =>
      block.type === 'text' ? [block.text] : [],
    )
  })
}

function toldTexts(name: string): string[] {
  const texts = new Map<string, string>()
  const retracted = new Set<string>()
  for (const event of toEvents(readMessages(name), name)) {
    if (event.type === EventType.TEXT_MESSAGE_START) texts.set(event.messageId, '')
    if (event.type === EventType.TEXT_MESSAGE_CONTENT) {
      texts.set(event.messageId, `${texts.get(event.messageId)}${event.delta}`)
    }
    if (event.type === EventType.CUSTOM && event.name === 'agui-runner.retracted') {
      const { reason, messageIds } = event.value
      if (reason !== 'superseded') for (const id of messageIds) retracted.add(id)
    }
  }
  return [...texts].flatMap(([id, text]) => (retracted.has(id) ? [] : [text]))
}

test.each(names)('%s tells every text once and whole', (name) => {
  expect(toldTexts(name)).toEqual(wholeTexts(readMessages(name)))
})
