import type { Item, ToolItem } from './model.ts'

export type ToolState = 'called' | 'asks' | 'running' | 'done' | 'failed' | 'refused' | 'cut'

/** The state of a call. `cut`: its run has ended and left it without a result. */
export function toolStateOf(tool: ToolItem): ToolState {
  const { result, isOpen, isAsking, isGoingOn = false, decision } = tool
  if (result?.isError === true) return decision?.isRefusal === true ? 'refused' : 'failed'
  if (result !== undefined) return 'done'
  if (isAsking) return 'asks'
  if (!isGoingOn && !isRunning(tool)) return 'cut'
  return isOpen ? 'called' : 'running'
}

function isRunning({ holder }: Item): boolean {
  return holder.kind === 'tool' ? isRunning(holder) : holder.state === 'running'
}
