import { z } from 'zod'
import type { OpenCall } from './calls.ts'
import type { SuspendedSubagent } from './subagents.ts'
import type { UsageTotals } from './usage.ts'

/** The state that one turn's translator passes to the next one of the thread. Plain JSON; may outlive the process. */
export interface TranslatorMemory {
  /** The Claude session's id in its last message. `/clear` changes it within a run. */
  sessionId?: string
  usage: UsageTotals
  usedIds: [string, number][]
  suspended: SuspendedSubagent[]
  openCalls: OpenCall[]
}

const count = z.number().optional()

const TranslatorMemorySchema = z.object({
  sessionId: z.string().optional(),
  usage: z.object({
    models: z.record(
      z.string(),
      z.object({
        inputTokens: count,
        outputTokens: count,
        thinkingTokens: count,
        cacheReadInputTokens: count,
        cacheCreationInputTokens: count,
        contextWindow: count,
        provider: z.string().optional(),
      }),
    ),
    costUsd: z.number().optional(),
  }),
  usedIds: z.array(z.tuple([z.string(), z.number()])),
  suspended: z.array(
    z.object({
      subagentRunId: z.string(),
      name: z.string(),
      description: z.string().optional(),
      toolUseId: z.string().optional(),
      taskId: z.string().optional(),
    }),
  ),
  openCalls: z.array(
    z.object({
      toolUseId: z.string(),
      id: z.string(),
      carrier: z.string().optional(),
      subagentRunId: z.string().optional(),
      client: z.boolean().optional(),
    }),
  ),
})

/** Whether this version can continue with the stored memory. Undefined, on a new thread, is valid. */
export function isTranslatorMemory(stored: unknown): boolean {
  return stored === undefined || TranslatorMemorySchema.safeParse(stored).success
}

/** Parses a stored memory. Returns an empty memory for a thread's first run. */
export function parseTranslatorMemory(stored: unknown): TranslatorMemory {
  const parsed = TranslatorMemorySchema.safeParse(stored)
  if (!parsed.success) return { usage: { models: {} }, usedIds: [], suspended: [], openCalls: [] }
  // The copy removes `undefined` members, which the types of a parsed memory allow.
  return JSON.parse(JSON.stringify(parsed.data))
}
