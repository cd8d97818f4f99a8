import { useRef, useState } from 'preact/hooks'
import { wordsOf } from '../model/words-of.ts'

export interface Attempts {
  /** Why the last attempt failed; empty when it did not. */
  problem: string
  isBusy: boolean
  /** Does nothing while the last one is on its way: a key that is pressed twice is meant once. */
  attempt(work: () => Promise<unknown>): void
}

/** Runs what a person starts here and keeps why it failed. */
export function useProblem(): Attempts {
  const [problem, setProblem] = useState('')
  const [isBusy, setBusy] = useState(false)
  const isUnderWay = useRef(false)
  return {
    problem,
    isBusy,
    attempt(work) {
      if (isUnderWay.current) return
      isUnderWay.current = true
      setProblem('')
      setBusy(true)
      work()
        .catch((error: unknown) => setProblem(wordsOf(error)))
        .finally(() => {
          isUnderWay.current = false
          setBusy(false)
        })
    },
  }
}
