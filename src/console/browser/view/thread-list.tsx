import type { VNode } from 'preact'
import { useState } from 'preact/hooks'
import { threadAddress } from '../model/address.ts'
import { byNeed, matching, shownName, stateWords } from '../model/attention.ts'
import { formatAge, formatCost, formatTokens, totalTokens } from '../model/format.ts'
import { movable } from '../model/queue-order.ts'
import type { ThreadShape } from '../model/thread-shapes.ts'

interface ThreadListProps {
  threads: readonly ThreadShape[]
  openThread: string | undefined
  isKnown: boolean
  isListed: boolean
  onNew(): void
  onChoose(): void
}

/** All threads, those that need somebody first. */
export function ThreadList({
  threads,
  openThread,
  isKnown,
  isListed,
  onNew,
  onChoose,
}: ThreadListProps): VNode {
  const [words, setWords] = useState('')
  const shown = byNeed(matching(threads, words))
  return (
    <nav id="threads" aria-label="Threads">
      <button type="button" id="new-thread" class="primary" onClick={onNew}>
        New thread
      </button>
      {threads.length > 0 && (
        <input
          id="thread-search"
          type="search"
          placeholder="Search threads"
          aria-label="Search threads"
          value={words}
          onInput={({ currentTarget }) => setWords(currentTarget.value)}
        />
      )}
      {isListed && threads.length === 0 && <p class="dim">No threads yet.</p>}
      {threads.length > 0 && shown.length === 0 && (
        <p class="dim">No title, name or state has these words.</p>
      )}
      <ul id="thread-list">
        {shown.map((thread) => (
          <li key={thread.threadId}>
            <ThreadLink
              thread={thread}
              isOpen={thread.threadId === openThread}
              isKnown={isKnown}
              onChoose={onChoose}
            />
          </li>
        ))}
      </ul>
    </nav>
  )
}

interface ThreadLinkProps {
  thread: ThreadShape
  isOpen: boolean
  isKnown: boolean
  onChoose(): void
}

function ThreadLink({ thread, isOpen, isKnown, onChoose }: ThreadLinkProps): VNode {
  const { threadId, state, updatedAt, queue, usage, costUsd } = thread
  const { word, level } = stateWords(state, isKnown)
  const tokens = usage.length > 0 ? ` · ${formatTokens(totalTokens(usage))} tok` : ''
  const cost = costUsd === undefined ? '' : ` · ${formatCost(costUsd)}`
  const queued = movable(queue).length
  const waiting = queued > 0 ? ` · ${queued} queued` : ''
  return (
    <a
      href={threadAddress(threadId)}
      title={threadId}
      aria-current={isOpen ? 'page' : undefined}
      onClick={onChoose}
    >
      <span class="name">{shownName(thread)}</span>
      <span class="facts">
        <span class={`badge ${level}`}>{word}</span>
        <span class="dim">
          {formatAge(Date.now() - updatedAt)}
          {tokens}
          {cost}
          {waiting}
        </span>
      </span>
    </a>
  )
}
