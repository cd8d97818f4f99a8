import { newId } from '@agui-runner/client'

/** Random bytes in the name of a thread that is made here. */
const THREAD_ID_BYTES = 3

export function newThreadId(): string {
  return `thread-${newId(THREAD_ID_BYTES)}`
}

export function isMadeHere(threadId: string): boolean {
  return /^thread-[0-9a-f]{6}$/.test(threadId)
}
