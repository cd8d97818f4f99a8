import { z } from 'zod'
import type { ThreadView } from '../../thread/stored-threads.ts'

/** Returns the schema of a thread in `GET /sessions`: `ThreadDescription` in JSON. */
export const described = () => ({
  name: 'Session',
  schema: z.looseObject({
    threadId: z.string(),
    title: z.string().optional().describe('As PATCH set it, else the first line of its first prompt.'),
    state: z.enum(['idle', 'running', 'interrupted', 'failed']),
    lastOutcome: z
      .enum(['success', 'interrupt', 'cancelled', 'error'])
      .optional()
      .describe('How the last run ended.'),
    lastSeq: z.number().int(),
    runId: z.string().optional().describe('The run under way.'),
    interrupts: z.array(z.looseObject({ id: z.string() })).describe('What waits for a person.'),
    queue: z.array(
      z.object({
        runId: z.string(),
        messageIds: z.array(z.string()),
        words: z.string().describe('The first line of what it says.'),
        delivery: z
          .enum(['steer', 'queue'])
          .describe('Steer: given to the running turn, which has not taken it in.'),
      }),
    ),
    usage: z.array(z.looseObject({})),
    costUsd: z.number().optional().describe('All runs together, in US dollars.'),
    context: z
      .object({ tokens: z.number(), window: z.number().optional() })
      .optional()
      .describe('How full the context is, in tokens.'),
    createdAt: z.number(),
    updatedAt: z.number(),
    model: z.string().optional(),
    claudeSessionId: z.string().optional(),
    warm: z.boolean().describe('Whether a process of the agent stands ready.'),
  }),
})

/** Returns a thread as clients get it. The session id is named `claudeSessionId`, as since the first version. */
export function toWire({ agentSessionId, runningAfter: _, ...description }: ThreadView) {
  return agentSessionId === undefined ? description : { ...description, claudeSessionId: agentSessionId }
}
