import { z } from 'zod'
import type { OpenCall } from './calls.ts'
import type { SuspendedSubagent } from './subagents.ts'
import type { UsageTotals } from './usage.ts'

/** What one run's translator hands to the next one of the same thread. Plain JSON; may outlive the process. */
export interface TranslatorMemory {
  /** The Claude session, as its last message named it: `/clear` changes it within a run. */
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

/** Whether this version can go on with it: it is what was stored, or a thread's first. */
export function isTranslatorMemory(stored: unknown): boolean {
  return stored === undefined || TranslatorMemorySchema.safeParse(stored).success
}

/** A stored memory as it was; an empty one for a thread's first run. */
export function parseTranslatorMemory(stored: unknown): TranslatorMemory {
  const parsed = TranslatorMemorySchema.safeParse(stored)
  if (!parsed.success) return { usage: { models: {} }, usedIds: [], suspended: [], openCalls: [] }
  // JSON has no undefined, so a parsed memory has none either; the types cannot see that.
  return JSON.parse(JSON.stringify(parsed.data))
}
