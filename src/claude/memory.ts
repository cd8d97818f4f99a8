import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { AgentMemory, AgentView } from '../agent/agent.ts'
import { RunnerError } from '../errors.ts'
import { ClientCall } from './host/client-tools.ts'
import { Asked } from './host/questions.ts'
import { isTranslatorMemory } from './translate/translator-memory.ts'

/** What outlives the process of a conversation. Door of stored data. */
const Memory = z.object({
  claudeSessionId: z.string(),
  /** Prompts were sent under this id, so there is a conversation to resume. */
  begun: z.boolean(),
  /** Turns that came to a result: what would be lost with the session's file. */
  turns: z.number(),
  /** Questions that wait for a person. */
  asked: z.array(Asked),
  /** Calls that wait for the client's result. */
  calls: z.array(ClientCall),
  /** What runs said that brought a part of these results, when no process was there to hear it. */
  unsaid: z.array(z.string()).default([]),
  /** The last entry of the last turn that succeeded: the model has taken everything up to it. */
  proven: z.object({ sessionId: z.string(), uuid: z.string() }).optional(),
  /** The last entry of the conversation: where it can be cut so that all of it is kept. */
  last: z.object({ sessionId: z.string(), uuid: z.string() }).optional(),
  /** The entry in which the session was compacted last. Claude Code finds none before it. */
  summary: z.string().optional(),
  /** Something was sent behind `proven`, and nobody knows that the model takes it. */
  isUnproven: z.boolean().default(false),
  /** What is behind `proven` in the session's file is no part of the conversation. */
  isTakenBack: z.boolean().default(false),
  /** Chosen with POST /model. */
  model: z.string().optional(),
  /** Unknown of a conversation that began before it was kept: then it was the workspace, with nothing said of it. */
  origin: z
    .object({
      directory: z.string().optional(),
      instructions: z.string().optional(),
      staysIn: z.string().optional(),
      workspace: z.string().optional(),
    })
    .default({}),
  /** Absent before the first turn has ended: JSON has no undefined. */
  translator: z.unknown().refine(isTranslatorMemory).optional(),
})
export type Memory = z.infer<typeof Memory>

/** Whether this version can go on with it. */
export function isMemory(stored: AgentMemory): boolean {
  return isEmpty(stored) || Memory.safeParse(stored).success
}

/**
 * A stored memory as it was; a fresh one on a new thread, which has stored nothing.
 *
 * @throws {RunnerError} `storage_damaged`.
 */
export function parseMemory(stored: AgentMemory): Memory {
  return isEmpty(stored) ? freshMemory() : readMemory(stored)
}

/** What a stored memory says of a conversation that has no process here. @throws {RunnerError} `storage_damaged`. */
export function lookAt(stored: AgentMemory, defaultModel: string | undefined): AgentView {
  const known = isEmpty(stored) ? undefined : readMemory(stored)
  const model = known?.model ?? defaultModel
  return {
    ...(model === undefined ? {} : { model }),
    ...(known === undefined ? {} : { agentSessionId: known.claudeSessionId }),
    warm: false,
    interrupts: known?.asked.map(({ interrupt }) => interrupt) ?? [],
  }
}

function isEmpty(stored: AgentMemory): boolean {
  return Object.keys(stored).length === 0
}

function readMemory(stored: AgentMemory): Memory {
  const { success, data, error } = Memory.safeParse(stored)
  if (success) return data
  const message =
    'The store is damaged: what Claude Code remembers of this conversation is not what this version writes; start the version that wrote it, or delete the thread.'
  throw new RunnerError('storage_damaged', message, { cause: error })
}

export function freshMemory(model?: string): Memory {
  const chosen = model === undefined ? {} : { model }
  return {
    claudeSessionId: randomUUID(),
    begun: false,
    turns: 0,
    asked: [],
    calls: [],
    unsaid: [],
    isUnproven: false,
    isTakenBack: false,
    ...chosen,
    origin: {},
    translator: undefined,
  }
}
