import { EventType } from '@ag-ui/core'
import type { AguiEvent } from '../agui/event.ts'
import { OpenItems } from '../agui/grammar.ts'
import type { EventLog } from '../storage/event-log.ts'
import { readKept } from '../storage/kept.ts'

/** Why a run ends that nobody works on any more. */
export interface Cut {
  code: string
  message: string
}

export const RESTARTED: Cut = {
  code: 'runner_restarted',
  message: 'The runner was stopped in the middle of this run and has started again.',
}

/** A run that ended without its terminal event. */
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
  let open = new OpenItems()
  let isOver = false
  const { signal } = new AbortController()
  const onLost = (): void => {
    // Whatever was open may have ended in there.
    open = new OpenItems()
  }
  for await (const batches of readKept(log, threadId, { after, head, signal, onLost })) {
    for (const batch of batches) {
      isOver ||= batch.terminal
      for (const { event } of batch.records()) {
        open.apply(event)
        if (event.type === EventType.TEXT_MESSAGE_START && event.role === 'user') taken.push(event.messageId)
      }
    }
  }
  return { isOver, closing: isOver ? [] : open.closing(), taken }
}
