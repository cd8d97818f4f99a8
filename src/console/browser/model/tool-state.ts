import { decisionOf } from './decision.ts'
import type { Json } from './fields.ts'
import type { Holder, Item, ShownRun, SubagentItem, ToolItem } from './model.ts'

export type ToolState = 'called' | 'asks' | 'waits' | 'running' | 'done' | 'failed' | 'refused' | 'cut'
export type SubagentState = SubagentItem['state'] | 'cut'

/**
 * The state of a call. `waits`: its turn comes when the call before it is answered, or its client has to run it. `cut`:
 * its run has ended and left it without a result.
 */
export function toolStateOf(tool: ToolItem): ToolState {
  const { result, isOpen, isAsking, isWaiting = false, isGoingOn = false, decision } = tool
  if (result?.isError === true) return decision?.isRefusal === true ? 'refused' : 'failed'
  if (result !== undefined) return 'done'
  if (isAsking) return 'asks'
  if (isWaiting) return 'waits'
  if (!isGoingOn && !isRunning(tool.holder)) return 'cut'
  return isOpen ? 'called' : 'running'
}

export function subagentStateOf({ state, holder }: SubagentItem): SubagentState {
  return state === 'running' && !isRunning(holder) ? 'cut' : state
}

/** The run that an item belongs to. */
export function runOf({ holder }: Item): ShownRun {
  return holder.kind === 'run' ? holder : runOf(holder)
}

/** Whether the run under an item goes on, and all between them. */
function isRunning(holder: Holder): boolean {
  if (holder.kind === 'run') return holder.state === 'running'
  if (holder.kind === 'subagent' && holder.state !== 'running') return false
  return isRunning(holder.holder)
}

/** What an answer makes of the call that it is about. One that ended with its process does not go on. */
export function answeredWith(value: Json): Partial<ToolItem> {
  const decision = decisionOf(value)
  const { at: beganAt, isRestarted } = decision
  return { decision, beganAt, isAsking: false, isWaiting: false, isGoingOn: !isRestarted }
}
