import { newId } from '@agui-runner/client'

/** Random bytes in the name of a thread that is made here. */
const THREAD_ID_BYTES = 3

export function newThreadId(): string {
  return `thread-${newId(THREAD_ID_BYTES)}`
}
