import type { Threads } from './threads.ts'

/** The threads as the routes see them, in a runner and in a process that only reads. */
export type ServedThreads = Pick<
  Threads,
  | 'all'
  | 'delete'
  | 'find'
  | 'get'
  | 'arrived'
  | 'leave'
  | 'list'
  | 'post'
  | 'return'
  | 'setModel'
  | 'settled'
  | 'submit'
  | 'view'
>
