import type { Delivery } from '@agui-runner/client'
import type { Ref, VNode } from 'preact'
import { useEffect, useImperativeHandle, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { type AttachedFile, contentOf } from '../model/files.ts'
import type { RunChoices } from '../model/run-choices.ts'
import type { QueuedShape } from '../model/thread-shapes.ts'
import { wordsOf } from '../model/words-of.ts'
import { runner, startRun } from '../runner/api.ts'
import { readFile } from '../runner/read-file.ts'
import type { Drafts } from '../state/drafts.ts'
import { ProblemText } from './problem-text.tsx'
import { type QueueActions, QueueView } from './queue-view.tsx'
import { RunChoiceFields } from './run-choices.tsx'

export interface ComposerHandle {
  /** Puts the prompt in, with the choices that its run needs. */
  fill(prompt: string, choices: RunChoices): void
  attach(files: Iterable<File>): void
  focus(): void
}

interface ComposerProps {
  handle: Ref<ComposerHandle>
  /** The thread that is open, or the name of the one that the first prompt makes. */
  threadId: string
  drafts: Drafts
  isRunning: boolean
  isWaiting: boolean
  /** The runs that wait behind the one under way. */
  queue: readonly QueuedShape[]
  models: readonly string[]
  /** Called when the runner has accepted a prompt. */
  onSent(): void
  queueActions: QueueActions
}

const ROWS_MIN = 2
const ROWS_MAX = 10

/** Takes prompts: they start a run on an idle thread, and are a message into a running one. */
export function Composer(props: ComposerProps): VNode {
  const { handle, threadId, drafts, isRunning, isWaiting, queue, models, onSent, queueActions } = props
  const area = useRef<HTMLTextAreaElement>(null)
  const draft = drafts.of(threadId)
  const [prompt, setPrompt] = useState(draft.prompt)
  const [files, setFiles] = useState(draft.files)
  const [choices, setChoices] = useState(draft.choices)
  const [delivery, setDelivery] = useState<Delivery>('steer')
  const [problem, setProblem] = useState('')
  const [isSending, setSending] = useState(false)
  useLayoutEffect(() => drafts.keep(threadId, { prompt, files, choices }), [prompt, files, choices])
  useEffect(() => setProblem(''), [isWaiting])
  const attach = async (given: Iterable<File>): Promise<void> => {
    const read = await Promise.allSettled([...given].map(readFile))
    setFiles((before) => [...before, ...read.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))])
    setProblem(read.flatMap((one) => (one.status === 'rejected' ? wordsOf(one.reason) : [])).join(' '))
  }
  useImperativeHandle(handle, () => ({
    fill(words, needed) {
      setPrompt(words)
      setChoices(needed)
      area.current?.focus()
    },
    attach: (given) => void attach(given),
    focus: () => area.current?.focus(),
  }))

  const send = async (): Promise<void> => {
    const words = prompt.trim()
    if ((words === '' && files.length === 0) || isSending) return
    if (isWaiting) {
      setProblem('Answer the question above first; what you have written stays.')
      return
    }
    setSending(true)
    setProblem('')
    try {
      const content = contentOf(words, files)
      if (isRunning) {
        await runner.thread(threadId).message(content, delivery)
      } else {
        const claude = Object.keys(choices).length === 0 ? {} : { forwardedProps: { claude: choices } }
        await startRun(threadId, { content, ...claude })
      }
      // What was typed or attached meanwhile stays.
      setPrompt((now) => (now === prompt ? '' : now))
      setFiles((now) => now.filter((file) => !files.includes(file)))
      onSent()
    } catch (error) {
      // What was typed stays.
      setProblem(wordsOf(error))
    } finally {
      setSending(false)
    }
  }
  const pressed = (event: KeyboardEvent): void => {
    // Enter also ends a composition of an input method; that one does not send.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
    event.preventDefault()
    void send()
  }
  return (
    <form
      id="composer"
      aria-label="Composer"
      onSubmit={(event) => {
        event.preventDefault()
        void send()
      }}
    >
      <QueueView queue={queue} actions={queueActions} />
      <div class="box">
        <label for="prompt" class="hidden">
          Prompt
        </label>
        <textarea
          id="prompt"
          ref={area}
          rows={rowsFor(prompt, isWaiting)}
          value={prompt}
          placeholder={isWaiting ? 'Answer the question above first.' : 'Write a prompt…'}
          onInput={({ currentTarget }) => setPrompt(currentTarget.value)}
          onKeyDown={pressed}
          onPaste={({ clipboardData }) => void attach(clipboardData?.files ?? [])}
        />
        <AttachedList files={files} onRemove={(gone) => setFiles(files.filter((file) => file !== gone))} />
        <div class="tools" hidden={isWaiting}>
          <AttachButton onFiles={(given) => void attach(given)} />
          {isRunning ? (
            <DeliveryChoice delivery={delivery} onChoose={setDelivery} />
          ) : (
            <RunChoiceFields models={models} choices={choices} onChange={setChoices} />
          )}
          <button type="submit" id="send" class="primary" disabled={isWaiting || isSending}>
            {isRunning ? (delivery === 'steer' ? 'Steer' : 'Queue') : 'Send'}
          </button>
        </div>
      </div>
      <ProblemText words={problem} />
    </form>
  )
}

/** The textarea keeps what is written while a question waits, and makes itself small when there is nothing. */
function rowsFor(prompt: string, isWaiting: boolean): number {
  return Math.min(Math.max(prompt.split('\n').length, isWaiting ? 1 : ROWS_MIN), ROWS_MAX)
}

interface AttachedListProps {
  files: readonly AttachedFile[]
  onRemove(file: AttachedFile): void
}

function AttachedList({ files, onRemove }: AttachedListProps): VNode | null {
  if (files.length === 0) return null
  return (
    <ul class="attached" aria-label="Attached files">
      {files.map((file) => (
        <li class="chip">
          {file.name}{' '}
          <button
            type="button"
            class="quiet"
            aria-label={`Remove ${file.name}`}
            onClick={() => onRemove(file)}
          >
            ×
          </button>
        </li>
      ))}
    </ul>
  )
}

function AttachButton({ onFiles }: { onFiles(files: Iterable<File>): void }): VNode {
  const input = useRef<HTMLInputElement>(null)
  return (
    <span>
      <input
        type="file"
        multiple
        hidden
        ref={input}
        aria-label="Files to attach"
        onChange={({ currentTarget }) => {
          onFiles([...(currentTarget.files ?? [])])
          currentTarget.value = ''
        }}
      />
      <button
        type="button"
        class="quiet"
        title="Attach files (or paste, or drop them)"
        onClick={() => input.current?.click()}
      >
        Attach
      </button>
    </span>
  )
}

interface DeliveryChoiceProps {
  delivery: Delivery
  onChoose(delivery: Delivery): void
}

function DeliveryChoice({ delivery, onChoose }: DeliveryChoiceProps): VNode {
  useEffect(() => () => onChoose('steer'), [])
  const choice = (value: Delivery, name: string, words: string): VNode => (
    <label>
      <input
        type="radio"
        name="delivery"
        value={value}
        checked={delivery === value}
        onChange={() => onChoose(value)}
      />{' '}
      <b>{name}</b>: {words}
    </label>
  )
  return (
    <fieldset id="delivery" class="bare">
      <legend class="hidden">The run under way</legend>
      {choice('steer', 'Steer', 'its next step sees it')}
      {choice('queue', 'Queue', 'a run of its own afterwards')}
    </fieldset>
  )
}
