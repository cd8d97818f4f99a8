import type { AgentSession, RunRequest } from '../agent/agent.ts'
import type { Write } from '../storage/table.ts'
import { type Back, notAgain } from './history.ts'
import type { Waiting } from './queue.ts'
import type { ThreadTable } from './thread-table.ts'
import type { Submitted } from './told.ts'

/** How a run comes to start. */
export interface Start {
  /** The entry of the queue that it was. */
  waiting?: Waiting
  /** What the conversation is taken back to first, and the messages that are known no more then. */
  back?: Back & { forgotten: Write[] }
}

/** What is forgotten, and what its sender holds when that lacks turns of what stays. */
export async function lookBehind(
  table: ThreadTable,
  threadId: string,
  { turn, lastUserMessageId, held }: Back,
): Promise<{ forgotten: Write[]; held: Pick<Submitted, 'held'> }> {
  const { forgotten, isLast } = await table.parted(threadId, turn)
  // One that sends the end of the history alone lacks nothing.
  const isBehind =
    held.some(({ role }) => role === 'user') && lastUserMessageId !== undefined && !isLast(lastUserMessageId)
  return { forgotten, held: isBehind ? { held } : {} }
}

/** Returns what undoes it. @throws {RunnerError} `regenerate_unsupported`: then nothing has changed. */
export function takeBack(agent: AgentSession, { point }: Back, { messages }: RunRequest): () => void {
  const undo = agent.takeBack(point)
  if (undo !== undefined) return undo
  const first = messages.find(({ role }) => role === 'user')
  const why = `the conversation of ${agent.agentName} begins behind it, since it was compacted or began anew`
  throw notAgain(first?.id ?? '', why)
}
