import type { TokenUsage } from '@ag-ui/core'
import { z } from 'zod'

/** Version, trace, span and flags; zeros name nothing (https://www.w3.org/TR/trace-context, "traceparent"). */
const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}(?:-.*)?$/
const TRACESTATE_CHARS_MAX = 512

/**
 * Whose work a run is a part of, by W3C Trace Context. Whoever records traces puts the run's own span in the place of the
 * client's, for those behind it.
 */
export const TraceCarrier = z.object({
  traceparent: z.string().regex(TRACEPARENT, 'must be a traceparent of W3C Trace Context').exactOptional(),
  tracestate: z.string().max(TRACESTATE_CHARS_MAX).exactOptional(),
})
export type TraceCarrier = z.infer<typeof TraceCarrier>

/** One request to a model, with what became of it. Times are milliseconds since the epoch. */
export interface ModelCall {
  /** The call of a tool whose subagent asked; undefined for the agent itself. */
  parentToolCallId?: string
  startedAt: number
  /** When the answer began to come. */
  answeredAt?: number
  endedAt: number
  model?: string
  /** What the provider calls the answer. */
  responseId?: string
  stopReason?: string
  /** As far as it is known. */
  usage?: TokenUsage
  /** Why no whole answer came, in few distinct words. */
  error?: string
}
