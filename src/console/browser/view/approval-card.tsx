import type { VNode } from 'preact'
import { useMemo, useRef, useState } from 'preact/hooks'
import { isObject, type Json } from '../model/fields.ts'
import type { Interrupt } from '../model/thread-shapes.ts'
import { shownTool, toolShapeOf } from '../model/tool-shape.ts'
import { Markdown } from './markdown.tsx'
import { ProblemText } from './problem-text.tsx'
import { CallView } from './tool-view.tsx'
import type { Send } from './ui.ts'
import { useCardKeys } from './use-keys.ts'

interface ApprovalCardProps {
  interrupt: Interrupt
  send: Send
}

/** Asks whether a call may run: shows what it would do, and on each button how far it reaches. */
export function ApprovalCard({
  interrupt: { message, reason, tool, input },
  send,
}: ApprovalCardProps): VNode {
  const isPlan = reason === 'confirmation'
  const shape = useMemo(() => toolShapeOf(tool, input), [tool, input])
  const before = useMemo(() => JSON.stringify(input, null, 2), [input])
  const [edited, setEdited] = useState(before)
  const [why, setWhy] = useState('')
  const [problem, setProblem] = useState('')
  const said = why.trim() === '' ? {} : { message: why.trim() }
  const allow = (remember: boolean): void => {
    const editedArgs = edited === before ? undefined : parsed(edited)
    if (edited !== before && editedArgs === undefined) {
      setProblem('The arguments must be a JSON object, and not an empty one.')
      return
    }
    setProblem('')
    const more = { ...(remember ? { remember } : {}), ...(editedArgs && { editedArgs }) }
    send({ status: 'resolved', payload: { approved: true, ...more, ...said } })
  }
  const refuse = (): void => send({ status: 'resolved', payload: { approved: false, ...said } })
  const root = useRef<HTMLDivElement>(null)
  const areKeysOn = useCardKeys(root, {
    y: () => allow(false),
    n: refuse,
    ...(isPlan ? {} : { a: () => allow(true) }),
  })
  return (
    <div ref={root}>
      {isPlan ? <Markdown text={message} isOpen={false} /> : <CallView shape={shape} />}
      {!isPlan && (
        <details>
          <summary>Edit the arguments</summary>
          <textarea
            rows={6}
            spellcheck={false}
            aria-label="Arguments as JSON"
            value={edited}
            onInput={({ currentTarget }) => setEdited(currentTarget.value)}
          />
        </details>
      )}
      <ProblemText words={problem} />
      <div class={areKeysOn ? 'row-of-buttons keyed' : 'row-of-buttons'}>
        <button type="button" class="primary" onClick={() => allow(false)}>
          {isPlan ? 'Go ahead' : 'Allow once'} <kbd>y</kbd>
        </button>
        {!isPlan && (
          <button type="button" onClick={() => allow(true)}>
            Always allow {tool === '' ? 'the like' : shownTool(tool)} in this session <kbd>a</kbd>
          </button>
        )}
        <button type="button" class="danger" onClick={refuse}>
          Refuse <kbd>n</kbd>
        </button>
        <input
          aria-label="Words to the model"
          placeholder="Why not, what to do instead, or what else to mind (the model reads it)"
          value={why}
          onInput={({ currentTarget }) => setWhy(currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && !event.isComposing && why.trim() !== '') refuse()
          }}
        />
      </div>
    </div>
  )
}

function parsed(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text)
    // The runner takes `{}` for a refusal: nobody could run a call without what it was asked with.
    return isObject(value) && Object.keys(value).length > 0 ? value : undefined
  } catch {
    // It is refused like any other text that is no object.
    return undefined
  }
}
