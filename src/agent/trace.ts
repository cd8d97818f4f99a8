import type { TokenUsage } from '@ag-ui/core'
import { z } from 'zod'

/** Version, trace, span and flags; zeros name nothing (https://www.w3.org/TR/trace-context, "traceparent"). */
const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}(?:-.*)?$/
const TRACESTATE_CHARS_MAX = 512

/**
 * The trace that a run is part of, by W3C Trace Context. A recorder of traces replaces the client's span with the run's
 * own span before it passes the carrier on.
 */
export const TraceCarrier = z.object({
  traceparent: z.string().regex(TRACEPARENT, 'must be a traceparent of W3C Trace Context').exactOptional(),
  tracestate: z.string().max(TRACESTATE_CHARS_MAX).exactOptional(),
})
export type TraceCarrier = z.infer<typeof TraceCarrier>

/** One request to a model and its result. Times are in milliseconds since the epoch. */
export interface ModelCall {
  /** The tool call whose subagent made the request; undefined for the main agent. */
  parentToolCallId?: string
  startedAt: number
  /** The time of the answer's first byte. */
  answeredAt?: number
  endedAt: number
  model?: string
  /** The provider's id of the answer. */
  responseId?: string
  stopReason?: string
  /** The tokens used, as far as the answer reports them. */
  usage?: TokenUsage
  /** Why the answer is missing or cut, as one of a few fixed phrases. */
  error?: string
}
