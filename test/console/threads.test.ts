import { expect, test } from 'vitest'
import { byNeed, matching, shownName, stateWords } from '../../src/console/browser/model/attention.ts'
import { changedFiles } from '../../src/console/browser/model/changed-files.ts'
import { harnessTagOf } from '../../src/console/browser/model/harness-text.ts'
import { checksOf, headlinesOf } from '../../src/console/browser/model/readiness.ts'
import { Rows, rowsWith } from '../../src/console/browser/model/rows.ts'
import { asTerminal, rowsOfText, withSeen } from '../../src/console/browser/model/text-lines.ts'
import { readSession } from '../../src/console/browser/model/thread-shapes.ts'
import { Timeline } from '../../src/console/browser/model/timeline.ts'
import { subagentStateOf, toolStateOf } from '../../src/console/browser/model/tool-state.ts'
import { toJson, toMarkdown } from '../../src/console/browser/model/transcript-file.ts'

const thread = (threadId: string, state: string, updatedAt: number, title?: string) =>
  readSession({ threadId, state, updatedAt, title })

const THREADS = [
  thread('a', 'idle', 5, 'Write the tests'),
  thread('b', 'running', 1),
  thread('c', 'failed', 2),
  thread('d', 'interrupted', 3),
  thread('e', 'interrupted', 4),
]

test('what waits for a person stands first, then what failed, then what runs', () => {
  expect(byNeed(THREADS).map(({ threadId }) => threadId)).toEqual(['e', 'd', 'c', 'b', 'a'])
})

test('a thread is found by its title, its id and what its state says', () => {
  expect(matching(THREADS, ' TESTS').map(({ threadId }) => threadId)).toEqual(['a'])
  expect(matching(THREADS, 'needs you')).toHaveLength(2)
  expect(matching(THREADS, 'tésts  WRITE').map(({ threadId }) => threadId)).toEqual(['a'])
  expect(matching(THREADS, 'tests failed')).toEqual([])
  expect(matching(THREADS, ' ')).toHaveLength(5)
  expect(THREADS.map(shownName)).toEqual(['Write the tests', 'b', 'c', 'd', 'e'])
  expect(shownName(thread('thread-788cfb', 'idle', 1))).toBe('Untitled')
})

test('a thread whose last run was stopped says so, and one that has gone on since does not', () => {
  const state = (more: object): string => readSession({ threadId: 't', ...more }).state
  expect(state({ state: 'idle', lastOutcome: 'cancelled' })).toBe('stopped')
  expect(state({ state: 'running', lastOutcome: 'cancelled' })).toBe('running')
  expect(state({ state: 'idle', lastOutcome: 'success' })).toBe('idle')
})

test('a run that asked needs nobody any more when the conversation has gone on', () => {
  const asking = { type: 'RUN_FINISHED', outcome: { type: 'interrupt', interrupts: [] } }
  const timeline = timelineOf(STARTED, asking)
  expect(timeline.runs.map(({ isAnswered }) => isAnswered)).toEqual([undefined])
  const rev = timeline.runs[0]?.rev ?? 0
  timeline.apply({ ...STARTED, runId: 'next' })
  expect(timeline.runs.map(({ isAnswered }) => isAnswered)).toEqual([true, undefined])
  expect(timeline.runs[0]?.rev).toBeGreaterThan(rev)
})

test('nothing is said to run while the runner is not heard', () => {
  expect(stateWords('running', true).word).toBe('running')
  expect(stateWords('running', false).word).toBe('unknown')
})

const call = (id: string, name: string, args: object) => [
  { type: 'TOOL_CALL_START', toolCallId: id, toolCallName: name },
  { type: 'TOOL_CALL_ARGS', toolCallId: id, delta: JSON.stringify(args) },
  { type: 'TOOL_CALL_END', toolCallId: id },
]
const result = (id: string) => ({ type: 'TOOL_CALL_RESULT', toolCallId: id, content: 'done ``` here' })

function timelineOf(...events: object[]): Timeline {
  const timeline = new Timeline()
  for (const event of events) timeline.apply({ ...event })
  return timeline
}

const STARTED = {
  type: 'RUN_STARTED',
  runId: 'run',
  input: { messages: [{ id: 'm', role: 'user', content: 'do it' }] },
}
const edited = { file_path: 'a.ts', old_string: 'x', new_string: 'y' }

test('a steered message is pending until the turn takes it in, and stands once', () => {
  const pending = {
    type: 'CUSTOM',
    name: 'agui-runner.message_pending',
    value: {
      messageId: 's',
      content: 'also',
      parts: [{ type: 'image', source: { type: 'url', value: '/a.png', mimeType: 'image/png' } }],
    },
  }
  const timeline = timelineOf(STARTED, pending)
  const attachments = [{ url: '/a.png', mimeType: 'image/png' }]
  expect(timeline.run?.items).toMatchObject([
    { text: 'do it' },
    { text: 'also', attachments, isPending: true },
  ])
  timeline.apply({ type: 'TEXT_MESSAGE_START', messageId: 's:steered', role: 'user' })
  timeline.apply({ type: 'TEXT_MESSAGE_CONTENT', messageId: 's:steered', delta: 'also' })
  expect(timeline.run?.items).toMatchObject([{ text: 'do it' }, { text: 'also', isPending: false }])
})

test('a call whose run is over without a result is at work no more; one that is asked for needs somebody', () => {
  const timeline = timelineOf(STARTED, ...call('cut', 'Bash', {}), ...call('asked', 'Edit', edited))
  const states = () => timeline.run?.items.flatMap((item) => (item.kind === 'tool' ? toolStateOf(item) : []))
  expect(states()).toEqual(['running', 'running'])
  timeline.apply({ type: 'RUN_FINISHED', runId: 'run', outcome: { type: 'success' } })
  expect(states()).toEqual(['cut', 'cut'])
  const outcome = { type: 'interrupt', interrupts: [{ id: 'i', toolCallId: 'asked' }] }
  timeline.apply({ type: 'RUN_FINISHED', runId: 'run', outcome })
  // Claude Code asks for one after the other: what comes behind it is not over.
  expect(states()).toEqual(['waits', 'asks'])
  timeline.apply({ type: 'RUN_FINISHED', outcome: { type: 'success', pendingToolCallIds: ['cut'] } })
  expect(states()).toEqual(['waits', 'cut'])
  timeline.apply({ type: 'RUN_ERROR', code: 'internal' })
  expect(states()).toEqual(['cut', 'cut'])
})

test('a subagent of a run that is over works no more, nor do its calls', () => {
  const timeline = timelineOf(
    STARTED,
    { type: 'SUBAGENT_STARTED', subagentRunId: 's', name: 'explore' },
    ...call('inner', 'Bash', {}).map((event) => ({ ...event, subagentRunId: 's' })),
  )
  const states = () =>
    timeline.run?.items.flatMap((item) =>
      item.kind === 'subagent'
        ? [
            subagentStateOf(item),
            ...item.items.flatMap((held) => (held.kind === 'tool' ? toolStateOf(held) : [])),
          ]
        : [],
    )
  expect(states()).toEqual(['running', 'running'])
  const rev = timeline.run?.items[1]?.rev ?? 0
  timeline.apply({ type: 'RUN_ERROR', code: 'internal' })
  expect(states()).toEqual(['cut', 'cut'])
  expect(timeline.run?.items[1]?.rev).toBeGreaterThan(rev)
})

test('a call took from its last argument, or from the answer of a person, to its result', () => {
  const [start, args, end] = call('1', 'Bash', {})
  const timeline = timelineOf(STARTED, { ...start }, { ...args }, { ...end, timestamp: 1000 })
  const tool = () => timeline.run?.items[1]
  expect(tool()).toMatchObject({ beganAt: 1000 })
  const answer = { toolCallId: '1', decision: 'approved', at: 5000 }
  timeline.apply({ type: 'CUSTOM', name: 'agui-runner.answered', value: answer })
  timeline.apply({ ...result('1'), timestamp: 5250 })
  expect(tool()).toMatchObject({ beganAt: 5000, endedAt: 5250 })
})

test('changed files are those whose edit was done, in their order', () => {
  const open = call('open', 'Write', { file_path: 'never.ts', content: 'z' })
  const timeline = timelineOf(STARTED, ...call('1', 'Edit', edited), result('1'), ...open)
  expect(changedFiles(timeline.runs)).toEqual([{ path: 'a.ts', edits: [{ before: 'x', after: 'y' }] }])
})

test('rows of what has not changed stay the same, and words are found in them', () => {
  const timeline = timelineOf(STARTED, ...call('1', 'Edit', edited))
  const rows = new Rows()
  const before = rows.of(timeline)
  expect(before.map(({ kind }) => kind)).toEqual(['start', 'item', 'item', 'end'])
  expect(rows.of(timeline)).toBe(before)
  timeline.apply({ ...STARTED, runId: 'two' })
  const after = rows.of(timeline)
  expect(after.slice(0, 4).every((row, index) => row === before[index])).toBe(true)
  expect(rowsWith(after, 'A.TS')).toEqual([2])
  expect(rowsWith(after, ' ')).toEqual([])
  // As it is shown, and not as JSON writes it.
  const quoted = timelineOf(STARTED, ...call('1', 'Bash', { command: 'echo "a"\nls' }))
  expect(rowsWith(new Rows().of(quoted), 'echo "a"\nls')).toEqual([2])
})

test('a run that only brought one answer of several has no rows', () => {
  const asking = { type: 'RUN_FINISHED', outcome: { type: 'interrupt', interrupts: [] } }
  const timeline = timelineOf(STARTED, asking, { type: 'RUN_STARTED', runId: 'two' }, asking)
  const kinds = () => new Rows().of(timeline).map(({ run, kind }) => `${run.runId} ${kind}`)
  expect(kinds()).toEqual(['run start', 'run item', 'run end', 'two start', 'two end'])
  timeline.apply({ type: 'RUN_STARTED', runId: 'three' })
  expect(kinds()).toEqual(['run start', 'run item', 'run end', 'three start', 'three end'])
})

test('a transcript is saved whole, as Markdown and as data', () => {
  const timeline = timelineOf(STARTED, ...call('1', 'Edit', edited), result('1'))
  const text = toMarkdown('Title', timeline.runs)
  expect(text).toContain('# Title\n\n## Run run\n\n### You\n\ndo it\n\n### Edit')
  // A fence that is longer than what is in it.
  expect(text).toContain('````\ndone ``` here\n````')
  const data: unknown = JSON.parse(toJson('t', timeline.runs))
  expect(data).toMatchObject({ threadId: 't', runs: [{ items: [{ text: 'do it' }, { name: 'Edit' }] }] })
  expect(toJson('t', timeline.runs)).not.toMatch(/"(?:holder|rev)"/)
})

test('what a thread says is saved as it is, also where its names are those of the page, and pictures are named', () => {
  const picture = { type: 'image', source: { type: 'data', value: 'AA', mimeType: 'image/png' } }
  const timeline = timelineOf({
    ...STARTED,
    input: { messages: [{ id: 'm', role: 'user', content: [picture] }] },
  })
  timeline.apply({
    type: 'RUN_FINISHED',
    outcome: { type: 'success' },
    result: { key: 'k', rev: 2, holder: 'h' },
  })
  const data: unknown = JSON.parse(toJson('t', timeline.runs))
  expect(data).toMatchObject({ runs: [{ result: { key: 'k', rev: 2, holder: 'h' } }] })
  expect(toMarkdown('Title', timeline.runs)).toContain('### You\n\n_[image/png]_')
})

test.each([
  ['<task-notification>\ndone\n</task-notification>', 'task-notification'],
  ['<system-reminder>x</system-reminder>', 'system-reminder'],
  ['<div>x</div>', undefined],
  ['look: <context>x</context>', undefined],
  ['<system-reminder>x</system-reminder>\n<context>y</context>', 'system-reminder'],
  ['<context>x</context> and I say <context>y</context>', undefined],
])('%s is told apart from what a person said', (text, tag) => {
  expect(harnessTagOf(text)).toBe(tag)
})

test('mock and enforcement are one word each; a runner that is not ready says only that', () => {
  const checks = (model: string, policy: string) => [
    { name: 'model_route', isOk: true, message: model },
    { name: 'policy_enforcement', isOk: true, message: policy },
  ]
  const words = (isReady: boolean, model: string, policy: string): string[] =>
    headlinesOf({ isReady, checks: checks(model, policy) }).map(({ word }) => word)
  expect(words(true, 'mock: no model', 'not enforced: install bubblewrap')).toEqual([
    'ready',
    'mock',
    'not enforced',
  ])
  expect(words(true, 'yes, in 3 ms', 'enforced by bubblewrap')).toEqual(['ready', 'enforced'])
  expect(words(false, '', '')).toEqual(['not ready'])
  const [, policy] = checksOf({ isReady: true, checks: checks('', 'not enforced: install bubblewrap') })
  expect(policy).toEqual({ title: 'Policy', level: 'warn', message: 'not enforced: install bubblewrap' })
})

test('a text is cut into rows without losing a character, and without what only a terminal reads', () => {
  const text = `${'x'.repeat(1201)}\n\nshort`
  const rows = rowsOfText(text, 500)
  expect(rows.map(({ length }) => length)).toEqual([500, 500, 201, 0, 5])
  expect(asTerminal('\u001b[31mred\u001b[0m [0m')).toBe('red [0m')
  expect(asTerminal('\u001b]0;title\u0007a\r\n\u001b(Bb\u0007 \u001b[2K')).toBe('a\nb ')
  expect(asTerminal('10 %\r50 %\r100 %\nb\bbo\bold\u001b]8;;x\u001b\\ end')).toBe('100 %\nbold end')
})

test('what draws nothing, or turns the order around, is seen', () => {
  expect(withSeen('echo \u202emr fr\u202c\u200b \u001b[8m\ttab\n')).toBe(
    'echo ⟨U+202E⟩mr fr⟨U+202C⟩⟨U+200B⟩ ␛[8m\ttab\n',
  )
  expect(withSeen('שלום \u{1f468}\u200d\u{1f469}')).toBe('שלום \u{1f468}\u200d\u{1f469}')
})
