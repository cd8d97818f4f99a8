import type { QueuedShape } from './thread-shapes.ts'

/** The runs that may be moved or taken out, the next one first. */
export function movable(queue: readonly QueuedShape[]): QueuedShape[] {
  return queue.filter(({ isSteered }) => !isSteered)
}

/** The order with `runId` one place earlier; undefined when it is the first. */
export function movedUp(queue: readonly QueuedShape[], runId: string): string[] | undefined {
  const runIds = movable(queue).map((entry) => entry.runId)
  const at = runIds.indexOf(runId)
  if (at < 1) return undefined
  return [...runIds.slice(0, at - 1), runId, ...runIds.slice(at - 1, at), ...runIds.slice(at + 1)]
}
