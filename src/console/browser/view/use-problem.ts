import { useState } from 'preact/hooks'
import { wordsOf } from '../model/words-of.ts'

export interface Attempts {
  /** Why the last attempt failed; empty when it did not. */
  problem: string
  isBusy: boolean
  attempt(work: () => Promise<unknown>): void
}

/** Runs what a person starts here and keeps why it failed. */
export function useProblem(): Attempts {
  const [problem, setProblem] = useState('')
  const [isBusy, setBusy] = useState(false)
  return {
    problem,
    isBusy,
    attempt(work) {
      setProblem('')
      setBusy(true)
      work()
        .catch((error: unknown) => setProblem(wordsOf(error)))
        .finally(() => setBusy(false))
    },
  }
}
