import { folded } from './folded.ts'
import type { Level } from './model.ts'
import { isMadeHere } from './thread-id.ts'
import type { ThreadShape } from './thread-shapes.ts'

export interface StateWords {
  word: string
  level: Level | 'live' | 'good'
}

/** The word for each state of a thread. */
const WORDS: Readonly<Record<string, StateWords>> = {
  idle: { word: 'idle', level: 'good' },
  running: { word: 'running', level: 'live' },
  interrupted: { word: 'needs you', level: 'warn' },
  failed: { word: 'failed', level: 'bad' },
  stopped: { word: 'stopped', level: 'warn' },
}

export function stateWords(state: string, isKnown: boolean): StateWords {
  if (!isKnown) return { word: 'unknown', level: 'info' }
  return WORDS[state] ?? { word: state, level: 'info' }
}

/** Threads that wait for a person come first, then failed ones, then running ones. */
const NEED: Readonly<Record<string, number>> = { interrupted: 0, failed: 1, running: 2 }
const REST = 3

/** The threads that wait for a person. */
export function needing(threads: readonly ThreadShape[]): ThreadShape[] {
  return threads.filter(({ state }) => state === 'interrupted')
}

export function byNeed(threads: readonly ThreadShape[]): ThreadShape[] {
  const need = ({ state }: ThreadShape): number => NEED[state] ?? REST
  return [...threads].sort((a, b) => need(a) - need(b) || b.updatedAt - a.updatedAt)
}

/** The threads whose title, id and state have every one of the words. */
export function matching(threads: readonly ThreadShape[], words: string): ThreadShape[] {
  const wanted = folded(words).split(/\s+/)
  return threads.filter(({ threadId, title = '', state }) => {
    const text = folded(`${threadId}\n${title}\n${stateWords(state, true).word}`)
    return wanted.every((word) => text.includes(word))
  })
}

/** The name in words. A thread that was made here and began with a picture has none. */
export function shownName({ title, threadId }: Pick<ThreadShape, 'title' | 'threadId'>): string {
  return title ?? (isMadeHere(threadId) ? 'Untitled' : threadId)
}
