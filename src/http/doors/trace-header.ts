import type { IncomingHttpHeaders } from 'node:http'
import { TraceCarrier } from '../../agent/trace.ts'

/**
 * Returns the trace that a request belongs to. An invalid `traceparent` names no trace, and an invalid `tracestate` is
 * ignored, as W3C Trace Context demands.
 */
export function traceOf({ traceparent, tracestate }: IncomingHttpHeaders): TraceCarrier {
  const parsed = TraceCarrier.safeParse({
    ...(traceparent !== undefined && { traceparent }),
    ...(typeof tracestate === 'string' && { tracestate }),
  })
  if (parsed.success) return traceparent === undefined ? {} : parsed.data
  return tracestate === undefined ? {} : traceOf({ traceparent })
}
