import { Fragment, type VNode } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { shownName, stateWords } from '../model/attention.ts'
import { changedFiles } from '../model/changed-files.ts'
import { formatContext, formatCost, formatUsage } from '../model/format.ts'
import type { ShownRun } from '../model/model.ts'
import type { ThreadShape } from '../model/thread-shapes.ts'
import { toJson, toMarkdown } from '../model/transcript-file.ts'
import { saveFile } from '../runner/save.ts'
import { DiffView } from './diff-view.tsx'
import { Modal } from './modal.tsx'
import { ProblemText } from './problem-text.tsx'
import { closePopover } from './use-popovers.ts'
import { useProblem } from './use-problem.ts'

interface ThreadHeadProps {
  facts: ThreadShape | undefined
  threadId: string
  isNamed: boolean
  isKnown: boolean
  isListed: boolean
  runs: readonly ShownRun[]
  rev: number
  /** The words looked for in this thread, and the number of places that have them. */
  words: string
  found: number
  onSearch(words: string): void
  onStop(): Promise<void>
  onRename(title: string): Promise<void>
  onForget(): Promise<void>
}

export function ThreadHead(props: ThreadHeadProps): VNode {
  const { facts, threadId, isNamed, isKnown, isListed, words, found, onSearch, onStop } = props
  const { problem, isBusy, attempt } = useProblem()
  const field = useRef<HTMLInputElement>(null)
  const [isFinding, setFinding] = useState(false)
  useEffect(() => {
    if (isFinding) field.current?.focus()
  }, [isFinding])
  const name = facts === undefined ? (isNamed ? threadId : 'New thread') : shownName(facts)
  return (
    <div id="thread">
      <h2 id="thread-name" title={threadId}>
        {name}
      </h2>
      <State {...{ facts, isNamed, isKnown, isListed }} />
      <span class="buttons">
        {facts?.state === 'running' && (
          <button
            type="button"
            id="stop"
            class="danger"
            disabled={isBusy}
            title="Stop (Esc)"
            onClick={() => attempt(onStop)}
          >
            Stop
          </button>
        )}
        {facts !== undefined && (
          <input
            type="search"
            id="find"
            class={isFinding ? '' : 'wide'}
            ref={field}
            placeholder="Find in thread"
            aria-label="Find in thread"
            value={words}
            onInput={({ currentTarget }) => onSearch(currentTarget.value)}
          />
        )}
        {words !== '' && (
          <span class="dim" role="status">
            {found === 0 ? 'not found' : `${found} found`}
          </span>
        )}
        {facts !== undefined && <ThreadMenu {...props} title={name} onFind={() => setFinding(true)} />}
      </span>
      <p id="thread-facts" class="dim">
        {isListed && factsLine(facts, threadId)}
      </p>
      <ProblemText words={problem} />
    </div>
  )
}

type StateProps = Pick<ThreadHeadProps, 'facts' | 'isNamed' | 'isKnown' | 'isListed'>

function State({ facts, isNamed, isKnown, isListed }: StateProps): VNode | null {
  if (facts !== undefined) {
    const { word, level } = stateWords(facts.state, isKnown)
    return <span class={`badge ${level}`}>{word}</span>
  }
  if (!isNamed || !isListed) return null
  return <span class="badge dim">not there</span>
}

function factsLine(facts: ThreadShape | undefined, threadId: string): string {
  if (facts === undefined) return `A prompt makes the thread ${threadId}.`
  const { model, claudeSessionId, isWarm, usage, costUsd, context } = facts
  const parts = [
    usage.some((entry) => entry.model === model) ? undefined : model,
    costUsd === undefined ? undefined : formatCost(costUsd),
    context === undefined ? undefined : formatContext(context),
    usage.length > 0 ? formatUsage(usage) : undefined,
    isWarm ? 'warm' : undefined,
    claudeSessionId === undefined ? undefined : `Claude session ${claudeSessionId}`,
  ]
  return parts.filter((part) => part !== undefined).join(' · ')
}

function ThreadMenu({
  threadId,
  runs,
  rev,
  title,
  onRename,
  onForget,
  onFind,
}: ThreadHeadProps & { title: string; onFind(): void }): VNode {
  const [asked, setAsked] = useState<'changes' | 'renaming' | 'forgetting'>()
  const { problem, attempt } = useProblem()
  const press = (act: () => void) => (): void => {
    closePopover()
    act()
  }
  const save = (ending: string, text: string): void => saveFile(`${threadId}.${ending}`, new Blob([text]))
  return (
    <Fragment>
      <details class="menu popover">
        <summary aria-label="More">⋯</summary>
        <div class="panel">
          <button type="button" class="narrow" onClick={press(onFind)}>
            Find in thread
          </button>
          <button type="button" onClick={press(() => setAsked('renaming'))}>
            Rename
          </button>
          <button type="button" onClick={press(() => setAsked('changes'))}>
            Edits of this thread
          </button>
          <button type="button" onClick={press(() => save('md', toMarkdown(title, runs)))}>
            Save as Markdown
          </button>
          <button type="button" onClick={press(() => save('json', toJson(threadId, runs)))}>
            Save as JSON
          </button>
          <button type="button" class="danger" onClick={press(() => setAsked('forgetting'))}>
            Forget
          </button>
        </div>
      </details>
      <ProblemText words={problem} />
      {asked === 'changes' && (
        <Modal label="Edits of this thread" isWide onClose={() => setAsked(undefined)}>
          <Changes runs={runs} rev={rev} />
        </Modal>
      )}
      {asked === 'renaming' && (
        <Modal label="Rename this thread" closing="Keep" onClose={() => setAsked(undefined)}>
          <RenameForm
            title={title}
            onRename={(words) => {
              setAsked(undefined)
              attempt(() => onRename(words))
            }}
          />
        </Modal>
      )}
      {asked === 'forgetting' && (
        <Modal label="Forget this thread" closing="Keep" onClose={() => setAsked(undefined)}>
          <p>Forget this thread? Its run is stopped, its log is deleted.</p>
          <button
            type="button"
            class="danger"
            onClick={() => {
              setAsked(undefined)
              attempt(onForget)
            }}
          >
            Forget
          </button>
        </Modal>
      )}
    </Fragment>
  )
}

/** Characters that the runner takes. */
const TITLE_CHARS_MAX = 120

function RenameForm({ title, onRename }: { title: string; onRename(title: string): void }): VNode {
  const [words, setWords] = useState(title)
  return (
    <form
      class="rename"
      onSubmit={(event) => {
        event.preventDefault()
        if (words.trim() !== '') onRename(words)
      }}
    >
      <label>
        Name
        <input
          value={words}
          maxLength={TITLE_CHARS_MAX}
          onInput={({ currentTarget }) => setWords(currentTarget.value)}
        />
      </label>
      <button type="submit" class="primary" disabled={words.trim() === ''}>
        Rename
      </button>
    </form>
  )
}

function Changes({ runs, rev }: { runs: readonly ShownRun[]; rev: number }): VNode {
  const files = useMemo(() => changedFiles(runs), [runs, rev])
  return (
    <div class="files">
      <h3>Edits of this thread</h3>
      <p class="dim">
        What this thread's own edits did, in their order. “Files” shows all that differs from git.
      </p>
      {files.length === 0 && <p>No file was edited.</p>}
      {files.map(({ path, edits }) => (
        <DiffView key={path} path={path} edits={edits} />
      ))}
    </div>
  )
}
