import type { VNode } from 'preact'
import { ProblemText } from './problem-text.tsx'
import { useProblem } from './use-problem.ts'

/** A button that downloads something, with the reason beside it when that fails. */
export function SaveButton({ label, save }: { label: string; save(): Promise<void> }): VNode {
  const { problem, attempt } = useProblem()
  return (
    <span>
      <button type="button" class="quiet" onClick={() => attempt(save)}>
        {label}
      </button>
      <ProblemText words={problem} />
    </span>
  )
}
