import { RunAgentInputSchema } from '@ag-ui/core/schemas'
import { z } from 'zod'
import type { RunRequest } from '../agent/agent.ts'
import { TraceCarrier } from '../agent/trace.ts'
import type { RunnerError } from '../errors.ts'
import { storeDamaged } from '../storage/damage.ts'
import type { TableEntry } from '../storage/table.ts'

// A stored queue entry: a head of one line of JSON, then the request, which may be large.

const Head = z.object({
  runId: z.string(),
  messageIds: z.array(z.string()),
  digests: z.array(z.tuple([z.string(), z.string()])),
  skipped: z.array(z.string()).readonly().default([]),
  words: z.string().default(''),
  isWithdrawn: z.boolean().default(false),
})
export type EntryHead = z.infer<typeof Head>
const Traced = z.object({ trace: TraceCarrier.exactOptional() })
const Request = z.custom<RunRequest>(
  (value) => RunAgentInputSchema.safeParse(value).success && Traced.safeParse(value).success,
)
const NEWLINE = 0x0a

export type StoredRun = TableEntry<Buffer>

export function encodeEntry(head: EntryHead, request: RunRequest): Buffer {
  return Buffer.from(`${JSON.stringify(head)}\n${JSON.stringify(request)}`)
}

/** Parses the head of a stored entry. @throws {RunnerError} `storage_damaged` when this version did not write it. */
export function parseHead({ key, value }: StoredRun): EntryHead {
  if (value === undefined) throw damaged(key.join(', '), 'what was written')
  return readAs(Head, value.toString('utf8', 0, value.indexOf(NEWLINE)), key.join(', '))
}

/** Parses a stored request. `name` stands for the entry in errors. @throws {RunnerError} `storage_damaged`. */
export function parseRequest(value: Buffer, name: string): RunRequest {
  return readAs(Request, value.toString('utf8', value.indexOf(NEWLINE) + 1), name)
}

/** Whether this version wrote the entry. */
export function isEntry(value: Buffer): boolean {
  try {
    parseHead({ key: [''], value })
    return true
  } catch {
    return false
  }
}

function readAs<T>(schema: z.ZodType<T>, text: string, name: string): T {
  try {
    return schema.parse(JSON.parse(text))
  } catch (error) {
    throw damaged(name, 'what this version writes', error)
  }
}

export function damaged(name: string, expected: string, cause?: unknown): RunnerError {
  return storeDamaged(`the queue's entry (${name}) is not ${expected}`, cause)
}
