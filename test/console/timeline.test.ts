import { EventType } from '@ag-ui/core'
import { expect, test } from 'vitest'
import type { AguiEvent } from '../../src/agui/event.ts'
import { Transcript as ClientTranscript } from '../../src/agui/transcript.ts'
import { isObject, type Json } from '../../src/console/browser/model/fields.ts'
import type { Holder, Item, ToolItem } from '../../src/console/browser/model/model.ts'
import { describeCustom } from '../../src/console/browser/model/notice-texts.ts'
import { Timeline } from '../../src/console/browser/model/timeline.ts'
import { toolStateOf } from '../../src/console/browser/model/tool-state.ts'
import { caseNames, readGolden } from '../support/claude-cases.ts'

const names = caseNames()

function recorded(name: string): Json[] {
  return readGolden(name).map((event) => {
    if (!isObject(event)) throw new TypeError(`${name} holds something that is no event`)
    return event
  })
}

function transcriptOf(events: readonly Json[]): Timeline {
  const transcript = new Timeline()
  for (const event of events) transcript.apply(event)
  return transcript
}

function itemsOf(holder: Holder): Item[] {
  return holder.items.flatMap((item) => ('items' in item ? [item, ...itemsOf(item)] : [item]))
}

const allItems = (transcript: Timeline): Item[] => transcript.runs.flatMap(itemsOf)

/** What is shown and not taken back, one line each; an order of its own, as results move to their calls. */
function shownLines(transcript: Timeline): string[] {
  return allItems(transcript)
    .flatMap((item) => {
      if (item.kind === 'notice' || item.kind === 'subagent' || item.retracted !== undefined) return []
      if (item.kind !== 'tool') return [`${item.kind === 'text' ? item.role : 'reasoning'}: ${item.text}`]
      const { name, args, editedArgs, result } = item
      const call = `call: ${name} ${editedArgs === undefined ? args : JSON.stringify(editedArgs)}`
      return result === undefined ? [call] : [call, `tool: ${result.text}`]
    })
    .sort()
}

/** The same from the messages that the runner's own snapshot gives a client that holds nothing. */
function heldLines(events: readonly Json[]): string[] {
  const client = new ClientTranscript()
  for (const event of events) client.apply(event as AguiEvent)
  return client
    .messages()
    .flatMap((message) => {
      const { content } = message
      const text = Array.isArray(content)
        ? content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n')
        : content
      const said = text === undefined ? [] : [`${message.role}: ${text}`]
      const calls = message.role === 'assistant' ? (message.toolCalls ?? []) : []
      return [...said, ...calls.map((call) => `call: ${call.function.name} ${call.function.arguments}`)]
    })
    .sort()
}

test.each(names)('%s is shown as a client holds it', (name) => {
  const events = recorded(name)
  expect(shownLines(transcriptOf(events))).toEqual(heldLines(events))
})

test.each(names)('%s leaves nothing open, and no event without words', (name) => {
  const transcript = transcriptOf(recorded(name))
  const open = allItems(transcript).filter((item) => 'isOpen' in item && item.isOpen)
  expect(open).toEqual([])
  expect(transcript.runs.map(({ state }) => state)).not.toContain('running')
  const types: string[] = Object.values(EventType)
  const titles = allItems(transcript).flatMap((item) => (item.kind === 'notice' ? [item.title] : []))
  expect(titles.filter((title) => types.includes(title) || title.startsWith('agui-runner.'))).toEqual([])
})

test.each(names)('%s: whatever changes what is shown changes the revision of all that holds it', (name) => {
  const transcript = new Timeline()
  for (const event of recorded(name)) {
    const before = new Map(
      allItems(transcript).map((item) => [item, { rev: item.rev, shown: shownOf(item) }]),
    )
    transcript.apply(event)
    for (const [item, { rev, shown }] of before)
      if (shownOf(item) !== shown) expect(item.rev).toBeGreaterThan(rev)
  }
})

/** All of an item but where it hangs and how often it changed. */
function shownOf(item: Item): string {
  return JSON.stringify(item, (key, value: unknown) =>
    key === 'holder' || key === 'rev' ? undefined : value,
  )
}

test('a subagent stands in the call that started it, a nested one in its own', () => {
  const [run] = transcriptOf(recorded('subagent-nested')).runs
  const outer = run?.items.find((item): item is ToolItem => item.kind === 'tool')
  const [subagent] = outer?.items ?? []
  expect(subagent).toMatchObject({ kind: 'subagent', name: 'general-purpose', state: 'success' })
  const inner = subagent !== undefined && 'items' in subagent ? itemsOf(subagent) : []
  expect(inner.map(({ kind }) => kind)).toEqual(['text', 'tool', 'subagent', 'tool', 'text', 'text'])
  expect(run?.items.at(-1)).toMatchObject({ kind: 'text', text: 'all done' })
})

test('a failed run tells its code and its message', () => {
  const [run] = transcriptOf(recorded('error-529')).runs
  expect(run).toMatchObject({ state: 'error', error: { code: 'model_overloaded' } })
  expect(run?.error?.message).not.toBe('')
})

test('what Claude Code took back is marked, not dropped', () => {
  const retracted = allItems(transcriptOf(recorded('refusal-recovered'))).filter(
    (item) => item.kind === 'text' && item.retracted === 'superseded',
  )
  expect(retracted).toHaveLength(1)
})

test('usage is told by model', () => {
  const [run] = transcriptOf(recorded('usage-with-cache')).runs
  expect(run?.usage).toEqual([
    { model: 'claude-opus-5-5', inputTokens: 127, outputTokens: 5, cachedInputTokens: 100 },
  ])
})

test('the run’s prompt is shown, also one in parts; a result that comes with a later run finds its call', () => {
  const content = [
    { type: 'text', text: 'look at' },
    { type: 'image', source: { type: 'url', value: '/sessions/t/blobs/1', mimeType: 'image/png' } },
  ]
  const transcript = transcriptOf([
    { type: 'RUN_STARTED', runId: 'one', input: { messages: [{ id: 'm', role: 'user', content }] } },
    { type: 'TOOL_CALL_START', toolCallId: 'call', toolCallName: 'Bash' },
    { type: 'RUN_FINISHED', runId: 'one', outcome: { type: 'interrupt', interrupts: [] } },
    { type: 'RUN_STARTED', runId: 'two', input: { messages: [] } },
    {
      type: 'TOOL_CALL_RESULT',
      toolCallId: 'call',
      content: 'cut',
      metadata: { 'agui-runner': { isError: true, blob: { url: '/sessions/t/blobs/2', bytes: 5 } } },
    },
  ])
  const [one, two] = transcript.runs
  expect(one?.state).toBe('interrupt')
  expect(one?.items).toMatchObject([
    { role: 'user', text: 'look at', attachments: [{ mimeType: 'image/png', url: '/sessions/t/blobs/1' }] },
    { result: { text: 'cut', isError: true, blob: { url: '/sessions/t/blobs/2', bytes: 5 } } },
  ])
  expect(two?.items).toEqual([])
})

test('a picture that is sent into a running turn is shown with its message', () => {
  const source = { type: 'url', value: '/sessions/t/blobs/1', mimeType: 'image/png' }
  const metadata = { 'agui-runner': { parts: [{ type: 'image', source }] } }
  const transcript = transcriptOf([
    { type: 'RUN_STARTED', runId: 'one', input: { messages: [] } },
    { type: 'TEXT_MESSAGE_START', messageId: 'm:steered', role: 'user', metadata },
    { type: 'TEXT_MESSAGE_END', messageId: 'm:steered' },
  ])
  const attachments = [{ mimeType: 'image/png', url: '/sessions/t/blobs/1' }]
  expect(transcript.runs[0]?.items).toMatchObject([{ role: 'user', text: '', attachments }])
})

test('what is not known, or broken, is shown as it came and breaks nothing', () => {
  const transcript = transcriptOf([
    { type: 'TEXT_MESSAGE_CONTENT', messageId: 'nobody', delta: 'x' },
    { type: 'A_NEWER_EVENT', value: 1 },
    { type: 'CUSTOM', name: 'somebody.else', value: 'says' },
    { type: 'CUSTOM', name: 'agui-runner.policy_denied', value: { host: 7 } },
    { type: 'TOOL_CALL_RESULT', toolCallId: 'nobody', content: 'orphan' },
    {},
  ])
  expect(transcript.runs).toMatchObject([{ isPartial: true }])
  expect(allItems(transcript)).toMatchObject([
    { title: 'A_NEWER_EVENT' },
    { title: 'somebody.else', detail: 'says' },
    { title: 'Policy denied  7:?', level: 'bad' },
    { title: 'Tool result', detail: 'orphan' },
    { title: '' },
  ])
})

test('a policy denial is legible', () => {
  const value = { host: 'evil.example', port: 443, method: 'CONNECT', reason: 'no rule allows it' }
  expect(describeCustom('agui-runner.policy_denied', value)).toEqual({
    level: 'bad',
    title: 'Policy denied CONNECT evil.example:443',
    detail: 'no rule allows it',
  })
})

test('runs that the conversation was taken back to before are shown as replaced, and no others', () => {
  const transcript = new Timeline()
  const events = ['one', 'two', 'three', 'two again'].flatMap((runId) => [
    { type: 'RUN_STARTED', runId },
    ...(runId === 'two again'
      ? [{ type: 'CUSTOM', name: 'agui-runner.taken_back', value: { afterSeq: 2 } }]
      : []),
    { type: 'RUN_FINISHED', runId },
  ])
  for (const [index, event] of events.entries()) transcript.apply(event, index + 1)
  expect(transcript.runs.map(({ runId, isReplaced = false }) => [runId, isReplaced])).toEqual([
    ['one', false],
    ['two', true],
    ['three', true],
    ['two again', false],
  ])
  expect(transcript.runs[3]?.items).toMatchObject([{ title: 'Taken back' }])
})

test('a call that was answered goes on in the run of the answer, and keeps who decided what and when', () => {
  const asked = [
    { type: 'RUN_STARTED', runId: 'one' },
    ...['a', 'b'].flatMap((toolCallId) => [
      { type: 'TOOL_CALL_START', toolCallId, toolCallName: 'Bash' },
      { type: 'TOOL_CALL_END', toolCallId },
    ]),
    {
      type: 'RUN_FINISHED',
      runId: 'one',
      outcome: { type: 'interrupt', interrupts: [{ toolCallId: 'a' }, { toolCallId: 'b' }] },
    },
  ]
  const value = { interruptId: 'i', toolCallId: 'a', decision: 'approved', scope: 'session', at: 7 }
  const answered = [
    { type: 'RUN_STARTED', runId: 'two' },
    { type: 'CUSTOM', name: 'agui-runner.answered', value },
  ]
  const timeline = transcriptOf([...asked, ...answered])
  const states = (): string[] =>
    allItems(timeline).flatMap((item) => (item.kind === 'tool' ? [toolStateOf(item)] : []))
  expect(states()).toEqual(['running', 'asks'])
  const word = 'Always allowed in this session'
  expect(allItems(timeline)[0]).toMatchObject({
    decision: { interruptId: 'i', word, isRefusal: false, isRestarted: false, at: 7 },
  })
  // Neither was run, and only "b" is asked again.
  timeline.apply({
    type: 'RUN_FINISHED',
    outcome: { type: 'interrupt', interrupts: [{ toolCallId: 'b' }] },
  })
  expect(states()).toEqual(['waits', 'asks'])
  timeline.apply({ type: 'RUN_STARTED', runId: 'three' })
  const refused = { interruptId: 'j', toolCallId: 'b', decision: 'refused', message: 'no', at: 8 }
  timeline.apply({ type: 'CUSTOM', name: 'agui-runner.answered', value: refused })
  const metadata = { 'agui-runner': { isError: true } }
  timeline.apply({ type: 'TOOL_CALL_RESULT', toolCallId: 'b', content: 'no', metadata })
  expect(states()).toEqual(['waits', 'refused'])
  // Its process has ended meanwhile: the model hears the answer, and nothing of the call itself runs.
  const again = { ...value, decision: 'approved', restarted: true }
  timeline.apply({ type: 'CUSTOM', name: 'agui-runner.answered', value: again })
  expect(states()).toEqual(['cut', 'refused'])
})
