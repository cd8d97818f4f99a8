import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { AgentMemory, AgentView } from '../agent/agent.ts'
import { RunnerError } from '../errors.ts'
import { ClientCall } from './host/client-tools.ts'
import { Asked } from './host/questions.ts'
import { isTranslatorMemory } from './translate/translator-memory.ts'

/** The part of a conversation that outlives its process. Stored data is checked by this schema. */
const Memory = z.object({
  claudeSessionId: z.string(),
  /** Whether prompts were sent under this id, so that there is a conversation to resume. */
  begun: z.boolean(),
  /** Number of turns that have ended. They would be lost with the session's file. */
  turns: z.number(),
  /** Questions that wait for a person. */
  asked: z.array(Asked),
  /** Calls that wait for the client's result. */
  calls: z.array(ClientCall),
  /** Words of runs that brought only a part of these results while no process could take them. */
  unsaid: z.array(z.string()).default([]),
  /** The last entry of the last successful turn. The model has accepted everything up to it. */
  proven: z.object({ sessionId: z.string(), uuid: z.string() }).optional(),
  /** The last entry of the conversation. A cut behind it keeps all of the conversation. */
  last: z.object({ sessionId: z.string(), uuid: z.string() }).optional(),
  /** The entry of the session's last summary. Claude Code finds no entry before it. */
  summary: z.string().optional(),
  /** Whether something was sent after `proven` that the model has not accepted yet. */
  isUnproven: z.boolean().default(false),
  /** Whether the entries after `proven` in the session's file are no part of the conversation. */
  isTakenBack: z.boolean().default(false),
  /** The model chosen with POST /model. */
  model: z.string().optional(),
  /**
   * Where the conversation began. Empty for a conversation that is older than this field: that one began in the
   * workspace, without instructions about it.
   */
  origin: z
    .object({
      directory: z.string().optional(),
      instructions: z.string().optional(),
      staysIn: z.string().optional(),
      workspace: z.string().optional(),
    })
    .default({}),
  /** The translator's memory. Absent before the first turn has ended, because JSON has no undefined. */
  translator: z.unknown().refine(isTranslatorMemory).optional(),
})
export type Memory = z.infer<typeof Memory>

/** Whether this version can continue with the stored memory. */
export function isMemory(stored: AgentMemory): boolean {
  return isEmpty(stored) || Memory.safeParse(stored).success
}

/**
 * Parses a stored memory. Returns a fresh memory for a new thread, which has stored nothing.
 *
 * @throws {RunnerError} `storage_damaged`.
 */
export function parseMemory(stored: AgentMemory): Memory {
  return isEmpty(stored) ? freshMemory() : readMemory(stored)
}

/**
 * Describes a conversation that has no process here by its stored memory.
 *
 * @throws {RunnerError} `storage_damaged`.
 */
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
