import type { VNode } from 'preact'

/** Says beside a control why what it started has failed; nothing while `words` is empty. */
export function ProblemText({ words }: { words: string }): VNode | null {
  if (words === '') return null
  return (
    <span class="problem bad" role="alert">
      {words}
    </span>
  )
}
