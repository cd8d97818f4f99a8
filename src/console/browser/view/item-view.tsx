import type { ComponentChild, VNode } from 'preact'
import { formatCount } from '../model/format.ts'
import { harnessTagOf } from '../model/harness-text.ts'
import type { Item, NoticeItem, ReasoningItem, SubagentItem, TextItem } from '../model/model.ts'
import { subagentStateOf } from '../model/tool-state.ts'
import { LongText } from './long-text.tsx'
import { Markdown } from './markdown.tsx'
import { Media } from './media.tsx'
import { memo } from './memo.ts'
import { PlainText } from './plain-text.tsx'
import { ToolView } from './tool-view.tsx'

export interface ItemProps {
  item: Item
  rev: number
  /** Whether the page is connected; without it nothing is said to be running. */
  isKnown: boolean
}

export const ItemView = memo<ItemProps>(({ item, isKnown }) => {
  switch (item.kind) {
    case 'text':
      return <TextView item={item} />
    case 'reasoning':
      return <ReasoningView item={item} />
    case 'tool':
      return (
        <ToolView item={item} isKnown={isKnown}>
          {item.items.length > 0 && itemList(item.items, isKnown)}
        </ToolView>
      )
    case 'subagent':
      return <SubagentView item={item} isKnown={isKnown} />
    case 'notice':
      return <NoticeView item={item} />
  }
})

function itemList(items: readonly Item[], isKnown: boolean): VNode {
  return (
    <div class="nested">
      {items.map((held) => (
        <ItemView key={held.key} item={held} rev={held.rev} isKnown={isKnown} />
      ))}
    </div>
  )
}

function retractedNote(reason: string | undefined): ComponentChild {
  return reason !== undefined && <p class="dim">Taken back by Claude Code: {reason}</p>
}

const WHO: Readonly<Record<string, string>> = { user: 'You', assistant: 'Claude Code' }

function TextView({ item }: { item: TextItem }): VNode {
  const { role, text, isOpen, isPending, attachments, retracted, holder } = item
  const tag = role === 'user' ? harnessTagOf(text) : undefined
  if (tag !== undefined) {
    return (
      <details class="notice info">
        <summary>
          <b>From Claude Code's harness</b> <span>{tag}</span>
        </summary>
        <LongText text={text} label="Text" />
      </details>
    )
  }
  const who = holder.kind === 'subagent' && role === 'assistant' ? 'Subagent' : (WHO[role] ?? role)
  const names = [
    'message',
    role === 'user' ? 'user' : 'agent',
    isPending ? 'pending' : '',
    retracted ? 'retracted' : '',
  ]
  return (
    <article class={names.join(' ')}>
      <h3>
        {who}
        {isPending && <span class="badge live">pending: the turn has not taken it in</span>}
      </h3>
      <div class="body">
        {role === 'user' ? (
          <PlainText text={text} label="Prompt" />
        ) : (
          <Markdown text={text} isOpen={isOpen} />
        )}
        <Media attachments={attachments} />
      </div>
      {retractedNote(retracted)}
    </article>
  )
}

function ReasoningView({ item }: { item: ReasoningItem }): VNode {
  const { text, isOpen, isEncrypted, retracted } = item
  const [first = ''] = text.trim().split('\n')
  const size = text === '' ? '' : formatCount(text.length, 'character')
  const hint = isOpen ? 'thinking…' : isEncrypted ? 'only the provider can read it' : size
  return (
    <details class={`reasoning${isOpen ? ' open' : ''}${retracted === undefined ? '' : ' retracted'}`}>
      <summary>
        <b>Reasoning</b> <span class="first">{first}</span> <span class="dim">{hint}</span>
      </summary>
      <div class="body">
        <PlainText text={text} label="Reasoning" />
      </div>
      {retractedNote(retracted)}
    </details>
  )
}

const SUBAGENT_STATES = {
  running: ['working…', 'live'],
  success: ['done', 'good'],
  suspended: ['goes on in the background', 'dim'],
  error: ['failed', 'bad'],
  cut: ['its run is over', 'dim'],
} as const

function SubagentView({ item, isKnown }: { item: SubagentItem; isKnown: boolean }): VNode {
  const { name, description, progress, error, totalTokens, items } = item
  const state = subagentStateOf(item)
  const isRunning = state === 'running'
  const [word, kind] = isRunning && !isKnown ? ['unknown', 'dim'] : SUBAGENT_STATES[state]
  return (
    <details class="subagent" open>
      <summary>
        <b>Subagent</b>
        <span class="about">
          {name}: {description}
        </span>
        {totalTokens !== undefined && !isRunning && (
          <span class="time wide">{formatCount(totalTokens, 'token')}</span>
        )}
        <span class={`badge ${kind}`}>{word}</span>
      </summary>
      {itemList(items, isKnown)}
      {isRunning && isKnown && progress !== undefined && progress !== '' && <p class="dim">{progress}</p>}
      {error !== undefined && (
        <p class="bad">
          {error.code}: {error.message}
        </p>
      )}
    </details>
  )
}

function NoticeView({ item: { level, title, detail, value } }: { item: NoticeItem }): VNode {
  return (
    <details class={`notice ${level}`}>
      <summary>
        <b>{title}</b> <span>{detail}</span>
      </summary>
      <LongText text={JSON.stringify(value, null, 2) ?? ''} label="Event" />
    </details>
  )
}
