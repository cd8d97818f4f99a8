import type { VNode } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { formatDate } from '../model/format.ts'
import type { Interrupt } from '../model/thread-shapes.ts'
import { shownTool } from '../model/tool-shape.ts'
import { ApprovalCard } from './approval-card.tsx'
import { ElicitationCard } from './elicitation-card.tsx'
import { ProblemText } from './problem-text.tsx'
import { QuestionCard } from './question-card.tsx'
import { type Send, useUi } from './ui.ts'
import { useProblem } from './use-problem.ts'

/** A form for each interrupt of the thread. What is typed stays until it is answered. */
export function AnswerPanel({ interrupts }: { interrupts: readonly Interrupt[] }): VNode | null {
  if (interrupts.length === 0) return null
  return (
    <section id="interrupts" aria-label="Waits for your answer">
      {interrupts.map((interrupt) => (
        <Card key={interrupt.id} interrupt={interrupt} />
      ))}
    </section>
  )
}

function Card({ interrupt }: { interrupt: Interrupt }): VNode {
  const { id, expiresAt, elicitation, choices } = interrupt
  const ui = useUi()
  const { problem, isBusy, attempt } = useProblem()
  const card = useRef<HTMLFormElement>(null)
  useEffect(() => {
    if (isFree(document.activeElement)) card.current?.focus()
  }, [])
  const send: Send = (entry) => attempt(() => ui.answer({ interruptId: id, ...entry }))
  const title = titleOf(interrupt)
  return (
    <form
      class="interrupt"
      aria-label={title}
      tabIndex={-1}
      ref={card}
      onSubmit={(event) => event.preventDefault()}
    >
      <h3>{title}</h3>
      {expiresAt !== undefined && (
        <p class="dim">Counts as refused after {formatDate(Date.parse(expiresAt))}.</p>
      )}
      <fieldset class="bare" disabled={isBusy}>
        {elicitation !== undefined ? (
          <ElicitationCard message={interrupt.message} asked={elicitation} send={send} />
        ) : choices.length > 0 ? (
          <QuestionCard interrupt={interrupt} send={send} />
        ) : (
          <ApprovalCard interrupt={interrupt} send={send} />
        )}
      </fieldset>
      <ProblemText words={problem} />
    </form>
  )
}

/** Whether a card may take the focus: nobody types there, or answers something else. */
function isFree(focused: Element | null): boolean {
  return (
    focused === null ||
    focused === document.body ||
    focused.matches('#transcript, #thread-list [aria-current]') ||
    (focused.id === 'prompt' && focused instanceof HTMLTextAreaElement && focused.value === '')
  )
}

function titleOf({ reason, tool, elicitation }: Interrupt): string {
  if (elicitation !== undefined) return 'An MCP server asks'
  if (reason === 'input_required') return 'Claude Code asks'
  if (reason === 'confirmation') return 'A plan waits for your word'
  return tool === '' ? 'Waits for you' : `May ${shownTool(tool)} run?`
}
