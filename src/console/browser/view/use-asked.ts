import { useEffect, useState } from 'preact/hooks'
import { wordsOf } from '../model/words-of.ts'

/** The state of a question to the runner. */
export type Inquiry<T> =
  | { state: 'asking' }
  | { state: 'here'; value: T }
  | { state: 'refused'; reason: string }

/** Asks once for each `key`. */
export function useAsked<T>(key: string, ask: (signal: AbortSignal) => Promise<T>): Inquiry<T> {
  const [asked, setAsked] = useState<Inquiry<T>>({ state: 'asking' })
  useEffect(() => {
    const leaving = new AbortController()
    const { signal } = leaving
    setAsked({ state: 'asking' })
    ask(signal).then(
      (value) => {
        if (!signal.aborted) setAsked({ state: 'here', value })
      },
      (error: unknown) => {
        if (!signal.aborted) setAsked({ state: 'refused', reason: wordsOf(error) })
      },
    )
    return () => leaving.abort()
  }, [key])
  return asked
}
