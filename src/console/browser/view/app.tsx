import type { VNode } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { byNeed, needing } from '../model/attention.ts'
import { Rows, rowsWith } from '../model/rows.ts'
import type { ConsoleState } from '../state/console-state.ts'
import { AnswerPanel } from './answer-panel.tsx'
import { Banner } from './banner.tsx'
import { Composer, type ComposerHandle } from './composer.tsx'
import { FilesDialog } from './files-dialog.tsx'
import { Header } from './header.tsx'
import { KeyMap } from './key-map.tsx'
import { ThreadHead } from './thread-head.tsx'
import { ThreadList } from './thread-list.tsx'
import { TranscriptView } from './transcript.tsx'
import { UiContext } from './ui.ts'
import { useDrop } from './use-drop.ts'
import { useFocus } from './use-focus.ts'
import { useKeys, useSinglePress } from './use-keys.ts'
import { usePopovers } from './use-popovers.ts'
import { Welcome } from './welcome.tsx'

export function App({ state }: { state: ConsoleState }): VNode {
  const { facts, open, threadId, drafts, isNamed, isKnown, isListed } = state
  const composer = useRef<ComposerHandle>(null)
  const [isListShown, setListShown] = useState(false)
  const [dialog, setDialog] = useState<'keys' | 'files'>()
  // A dialog tells that it is closed a moment later, when a key may have opened the other one.
  const closeDialog = (closed: 'keys' | 'files'): void =>
    setDialog((shown) => (shown === closed ? undefined : shown))
  const [words, setWords] = useState('')
  const rows = useRef(new Rows()).current.of(open?.timeline)
  const found = useMemo(() => rowsWith(rows, words), [rows, words])
  useEffect(() => setWords(''), [threadId])
  useEffect(() => setListShown(false), [threadId])
  const go = (by: number): void => {
    const sorted = byNeed(state.threads)
    const at = sorted.findIndex((thread) => thread.threadId === threadId)
    const next = sorted[at < 0 ? 0 : at + by]
    if (next !== undefined) state.openThread(next.threadId)
  }
  const startNew = (): void => {
    state.newThread()
    composer.current?.focus()
  }
  useFocus()
  usePopovers()
  useSinglePress()
  useDrop((files) => composer.current?.attach(files))
  useKeys({
    '?': () => setDialog('keys'),
    '/': () => document.getElementById('thread-search')?.focus(),
    c: startNew,
    f: () => setDialog('files'),
    j: () => go(1),
    k: () => go(-1),
    Escape: () => document.getElementById('stop')?.click(),
  })
  const isEmpty = isNamed ? facts === undefined && isListed : true
  return (
    <UiContext.Provider value={state}>
      <div class={isListShown ? 'page list' : 'page'}>
        <Header
          readiness={state.readiness}
          isKnown={isKnown}
          onCheck={() => void state.check()}
          {...{ isListShown, needing: needing(state.threads).length }}
          onShowList={() => setListShown(!isListShown)}
          onShowFiles={() => setDialog('files')}
          onShowKeys={() => setDialog('keys')}
        />
        <ThreadList
          threads={state.threads}
          openThread={isNamed ? threadId : undefined}
          isKnown={isKnown}
          isListed={isListed}
          onNew={startNew}
          onChoose={() => setListShown(false)}
        />
        <main>
          <Banner loss={state.loss} onRetry={() => state.refresh()} />
          <ThreadHead
            {...{ facts, threadId, isNamed, isKnown, isListed, words }}
            runs={open?.timeline.runs ?? []}
            rev={open?.timeline.rev ?? 0}
            found={found.length}
            onSearch={setWords}
            onStop={() => state.interrupt()}
            onRename={(title) => state.rename(title)}
            onForget={() => state.forget()}
          />
          {open !== undefined && !isEmpty && rows.length > 0 ? (
            <TranscriptView key={open.threadId} {...{ rows, isKnown, words, found }} sends={state.sends} />
          ) : (
            <section id="transcript" aria-label="Transcript">
              <Welcome isComing={!isEmpty} state={state} onPick={(...to) => composer.current?.fill(...to)} />
            </section>
          )}
          <AnswerPanel interrupts={facts?.interrupts ?? []} />
          <Composer
            key={threadId}
            handle={composer}
            {...{ threadId, drafts }}
            isRunning={facts?.state === 'running'}
            isWaiting={(facts?.interrupts.length ?? 0) > 0}
            queue={facts?.queue ?? []}
            models={[...new Set(state.threads.flatMap(({ model }) => model ?? []))]}
            onSent={() => state.sent(threadId)}
            queueActions={state}
          />
        </main>
        {dialog === 'files' && <FilesDialog onClose={() => closeDialog('files')} />}
        {dialog === 'keys' && <KeyMap onClose={() => closeDialog('keys')} />}
        <p id="status" role="status" class="hidden">
          {state.said}
        </p>
      </div>
    </UiContext.Provider>
  )
}
