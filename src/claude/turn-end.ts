import type { RunEnd } from '../agent/agent.ts'

/** End of a turn that has not begun, because the Claude session that the process should resume does not exist. */
export const NO_CONVERSATION = Symbol('no conversation')

export type TurnEnd = RunEnd | typeof NO_CONVERSATION
