import type { TokenUsage } from '@ag-ui/core'
import { z } from 'zod'

/**
 * Version, trace, span and flags; zeros name nothing. Only a version after 00 may have more
 * (https://www.w3.org/TR/trace-context, "traceparent").
 */
const TRACEPARENT = /^(?!ff|00.{53}-)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}(?:-.*)?$/
/** The part that this version of the specification knows. It is passed on under that version. */
const known = (traceparent: string): string => `00${traceparent.slice(2, 55)}`
/** Printable ASCII of at most 512 characters, since it becomes a variable of the environment. */
const TRACESTATE = /^[\t -~]{0,512}$/

/**
 * The trace that a run is part of, by W3C Trace Context. A recorder of traces replaces the client's span with the run's
 * own span before it passes the carrier on.
 */
export const TraceCarrier = z.object({
  traceparent: z
    .string()
    .regex(TRACEPARENT, 'must be a traceparent of W3C Trace Context')
    .overwrite(known)
    .exactOptional(),
  tracestate: z.string().regex(TRACESTATE, 'must be a tracestate of W3C Trace Context').exactOptional(),
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
