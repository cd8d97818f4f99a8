import type { AgentSession, RunRequest } from '../agent/agent.ts'
import type { Write } from '../storage/table.ts'
import { type Back, notAgain } from './history.ts'
import type { Waiting } from './queue.ts'
import type { Submitted } from './submitted.ts'
import type { ThreadTable } from './thread-table.ts'

/** How a run starts. */
export interface Start {
  /** The queue entry that it was. */
  waiting?: Waiting
  /** The place to take the conversation back to first, and the writes that forget the later messages. */
  back?: Back & { forgotten: Write[] }
}

/** Finds the messages to forget, and the sender's messages when they lack turns that stay. */
export async function lookBehind(
  table: ThreadTable,
  threadId: string,
  { turn, lastUserMessageId, held }: Back,
): Promise<{ forgotten: Write[]; held: Pick<Submitted, 'held'> }> {
  const { forgotten, isLast } = await table.parted(threadId, turn)
  // A client that sends only the end of the history lacks nothing.
  const isBehind =
    held.some(({ role }) => role === 'user') && lastUserMessageId !== undefined && !isLast(lastUserMessageId)
  return { forgotten, held: isBehind ? { held } : {} }
}

/** Returns a function that undoes it. @throws {RunnerError} `regenerate_unsupported`, with nothing changed. */
export function takeBack(agent: AgentSession, { point }: Back, { messages }: RunRequest): () => void {
  const undo = agent.takeBack(point)
  if (undo !== undefined) return undo
  const first = messages.find(({ role }) => role === 'user')
  const why = `the conversation of ${agent.agentName} begins behind it, since it was compacted or began anew`
  throw notAgain(first?.id ?? '', why)
}
