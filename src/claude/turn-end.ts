import type { RunEnd } from '../agent/agent.ts'

/** The Claude session that a process should resume is not there; nothing of the turn has happened. */
export const NO_CONVERSATION = Symbol('no conversation')

export type TurnEnd = RunEnd | typeof NO_CONVERSATION
