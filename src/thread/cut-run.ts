import { EventType } from '@ag-ui/core'
import type { AguiEvent } from '../agui/event.ts'
import { OpenItems } from '../agui/grammar.ts'
import type { EventLog } from '../storage/event-log.ts'

/** A run that a runner which died left behind in the log. */
export interface CutRun {
  /** Its terminal event is there, or it never began. */
  isOver: boolean
  /** The ends of what is open. */
  closing: AguiEvent[]
  /** Ids of the user messages that were told on the way: the agent had taken them in. */
  taken: string[]
}

/** Reads what the log has behind `after`, the last seq before the run. */
export async function readCutRun(log: EventLog, threadId: string, after: number): Promise<CutRun> {
  const head = log.head(threadId)
  const taken: string[] = []
  if (head <= after) return { isOver: true, closing: [], taken }
  const open = new OpenItems()
  let isOver = false
  for await (const batches of log.read(threadId, after, new AbortController().signal)) {
    for (const batch of batches) {
      isOver ||= batch.terminal
      for (const { event } of batch.records()) {
        open.apply(event)
        if (event.type === EventType.TEXT_MESSAGE_START && event.role === 'user') taken.push(event.messageId)
      }
    }
    if ((batches.at(-1)?.last ?? 0) >= head) break
  }
  return { isOver, closing: isOver ? [] : open.closing(), taken }
}
