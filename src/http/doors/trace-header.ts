import type { IncomingHttpHeaders } from 'node:http'
import { TraceCarrier } from '../../agent/trace.ts'

/**
 * The trace that a request is a part of. What is no `traceparent` names none, and what is no `tracestate` is left out, as
 * W3C Trace Context has it for those who cannot read them.
 */
export function traceOf({ traceparent, tracestate }: IncomingHttpHeaders): TraceCarrier {
  const parsed = TraceCarrier.safeParse({
    ...(traceparent !== undefined && { traceparent }),
    ...(typeof tracestate === 'string' && { tracestate }),
  })
  if (parsed.success) return traceparent === undefined ? {} : parsed.data
  return tracestate === undefined ? {} : traceOf({ traceparent })
}
