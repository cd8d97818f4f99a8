import { type ComponentChild, type ComponentChildren, Fragment, type VNode } from 'preact'
import { useMemo } from 'preact/hooks'
import { formatBytes, formatDuration, formatMoment } from '../model/format.ts'
import type { ToolItem } from '../model/model.ts'
import { asTerminal, withSeen } from '../model/text-lines.ts'
import {
  argumentsOf,
  isRepeated,
  shownTool,
  splitExitCode,
  summarise,
  type Todo,
  type ToolShape,
  toolShapeOf,
} from '../model/tool-shape.ts'
import { runOf, type ToolState, toolStateOf } from '../model/tool-state.ts'
import { saveBlob } from '../runner/save.ts'
import { ArgumentList } from './argument-list.tsx'
import { DiffView } from './diff-view.tsx'
import { Elapsed } from './elapsed.tsx'
import { LongText } from './long-text.tsx'
import { Markdown } from './markdown.tsx'
import { Media } from './media.tsx'
import { PathLine } from './path-line.tsx'
import { SaveButton } from './save-button.tsx'
import { useUi } from './ui.ts'

interface ToolProps {
  item: ToolItem
  isKnown: boolean
  /** The subagents it started. */
  children: ComponentChildren
}

const STATES: Readonly<Record<ToolState, readonly [string, string]>> = {
  called: ['called…', 'live'],
  asks: ['needs you', 'warn'],
  waits: ['waits its turn', 'dim'],
  running: ['running…', 'live'],
  done: ['done', 'good'],
  failed: ['failed', 'bad'],
  refused: ['refused', 'dim'],
  cut: ['no result: its run is over', 'dim'],
}

export function ToolView({ item, isKnown, children }: ToolProps): VNode {
  const { name, args, isOpen, editedArgs, result, beganAt, endedAt, retracted, decision } = item
  const whole = useMemo(() => argumentsOf(item), [args, isOpen, editedArgs])
  const shape = useMemo(() => (whole === undefined ? undefined : toolShapeOf(name, whole)), [name, whole])
  const state = toolStateOf(item)
  const isAtWork = state === 'called' || state === 'running'
  const ui = useUi()
  const [word, kind] = isAtWork && !isKnown ? ['unknown', 'dim'] : STATES[state]
  return (
    // A call that asks is shown once, in the form that answers it.
    <details class={`tool ${state}${retracted === undefined ? '' : ' retracted'}`} open={state !== 'asks'}>
      <summary>
        <b>{shownTool(name)}</b>
        {shape?.kind === 'edit' ? (
          <PathLine path={shape.path} />
        ) : (
          <code class={shape !== undefined && isRepeated(shape) ? 'about repeated' : 'about'}>
            {shape === undefined ? '' : withSeen(summarise(shape))}
          </code>
        )}
        {beganAt !== undefined && endedAt !== undefined && (
          <span class="time">{formatDuration(endedAt - beganAt)}</span>
        )}
        {beganAt !== undefined && state === 'running' && isKnown && <Elapsed since={beganAt} />}
        <span class={`badge ${kind}`}>{word}</span>
      </summary>
      <div class="body">
        {editedArgs !== undefined && <p class="dim">Run with arguments that a person edited:</p>}
        {whole === undefined || shape === undefined ? (
          <LongText text={args} label="Arguments" />
        ) : (
          <CallView shape={shape} isNamed />
        )}
        {children}
        {result !== undefined && <Result item={item} shape={shape} isFailed={state === 'failed'} />}
        {decision !== undefined && (
          <p class="dim decision">
            {decision.word} {ui.isAnsweredHere(decision.interruptId) ? 'by you ' : ''}at{' '}
            {formatMoment(decision.at, runOf(item).startedAt ?? decision.at)}
            {decision.isRestarted && !decision.isRefusal && '; made again, since the runner was restarted'}
          </p>
        )}
        {retracted !== undefined && <p class="dim">Taken back by Claude Code: {retracted}</p>}
      </div>
    </details>
  )
}

interface CallViewProps {
  shape: ToolShape
  /** A line above it says what the call is about, and it stands among others. */
  isNamed?: boolean
}

/** Shows a call as what it is: a diff, a command, a list. Whoever has to answer for it sees all of it. */
export function CallView({ shape, isNamed = false }: CallViewProps): VNode {
  const told = isNamed && !isRepeated(shape) ? summarise(shape) : undefined
  const rest = Object.entries(shape.rest).filter(([, value]) => value !== told)
  return (
    <Fragment>
      <Shown shape={shape} isNamed={isNamed} />
      {(rest.length > 0 || (shape.kind === 'other' && summarise(shape) === '')) && (
        <ArgumentList args={Object.fromEntries(rest)} />
      )}
    </Fragment>
  )
}

function Shown({ shape, isNamed = false }: CallViewProps): VNode | null {
  switch (shape.kind) {
    case 'edit':
      return <DiffView path={isNamed ? undefined : shape.path} edits={shape.edits} isWhole={!isNamed} />
    case 'command':
      return (
        <div class="terminal">
          {shape.about !== '' && <p class="dim">{shape.about}</p>}
          <LongText text={shape.command} label="Command" mark="$ " isWhole={!isNamed} />
        </div>
      )
    case 'read':
    case 'search':
      return isNamed ? null : <LongText text={summarise(shape)} label="What it reads" />
    case 'todos':
      return <Todos todos={shape.todos} />
    case 'plan':
      return <Markdown text={shape.plan} isOpen={false} />
    case 'other':
      return null
  }
}

const MARKS = { pending: '○', in_progress: '◐', completed: '●' } as const
const MEANINGS = { pending: 'to do', in_progress: 'in progress', completed: 'done' } as const

function Todos({ todos }: { todos: readonly Todo[] }): VNode {
  return (
    <ul class="todos">
      {todos.map(({ text, state }) => (
        <li class={state}>
          <i role="img" aria-label={MEANINGS[state]}>
            {MARKS[state]}
          </i>
          <span>{text}</span>
        </li>
      ))}
    </ul>
  )
}

function Result({
  item: { result, items },
  shape,
  isFailed,
}: {
  item: ToolItem
  shape: ToolShape | undefined
  isFailed: boolean
}): ComponentChild {
  if (result === undefined) return null
  const { text, attachments, isError, blob } = result
  const isCommand = shape?.kind === 'command'
  const { code, rest } = isCommand && isError ? splitExitCode(text) : { code: undefined, rest: text }
  const shown = isCommand ? asTerminal(rest) : rest
  // The summary says already that an edit is done.
  if (shape?.kind === 'edit' && !isError && attachments.length === 0) return null
  if (shape?.kind === 'todos' && !isError) return null
  // The subagent's own words stand above; the harness repeats them in a frame for the model.
  if (!isError && items.some(({ kind }) => kind === 'subagent'))
    return (
      <details class="notice info">
        <summary>
          <b>From Claude Code's harness</b> <span>the report as the model reads it</span>
        </summary>
        <LongText text={text} label="Result" />
      </details>
    )
  const size = blob?.bytes === undefined ? '' : ` (${formatBytes(blob.bytes)})`
  return (
    <div class={`result${isCommand ? ' terminal' : ''}`}>
      {isFailed && <p class="bad label">{code === undefined ? 'Error' : `Exit code ${code}`}</p>}
      {(shown !== '' || attachments.length === 0) && (
        <LongText text={shown === '' ? '(no output)' : shown} label="Result" />
      )}
      <Media attachments={attachments} />
      {blob !== undefined && (
        <p>
          Cut here. <SaveButton label={`Save the whole${size}`} save={() => saveBlob(blob.url)} />
        </p>
      )}
    </div>
  )
}
