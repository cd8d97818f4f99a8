import { useState } from 'preact/hooks'
import { wordsOf } from '../model/words-of.ts'

export interface Attempts {
  /** Why the last one failed; empty while nothing is wrong. */
  problem: string
  isBusy: boolean
  attempt(work: () => Promise<unknown>): void
}

/** What a person tries here, one at a time, and what went wrong. */
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
