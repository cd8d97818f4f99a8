import type { QueuedShape } from './thread-shapes.ts'

/** What may be moved or taken out, the next one first. */
export function movable(queue: readonly QueuedShape[]): QueuedShape[] {
  return queue.filter(({ isSteered }) => !isSteered)
}

/** The order in which `runId` is one place earlier; undefined where it is the first already. */
export function movedUp(queue: readonly QueuedShape[], runId: string): string[] | undefined {
  const runIds = movable(queue).map((entry) => entry.runId)
  const at = runIds.indexOf(runId)
  if (at < 1) return undefined
  return [...runIds.slice(0, at - 1), runId, ...runIds.slice(at - 1, at), ...runIds.slice(at + 1)]
}
