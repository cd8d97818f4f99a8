import { z } from 'zod'
import {
  int32,
  int64,
  loadService,
  type Method,
  method,
  string,
  TIMESTAMP,
  time,
} from '../grpc/definition.ts'

const optional = <T extends object>(field: T) => ({ ...field, options: { proto3_optional: true } })

const PUSH = { session_id: string(1), event_type: string(2), payload: string(3) }
const STORED = {
  id: string(1),
  session_id: string(2),
  seq: int64(3),
  event_type: string(4),
  payload: string(5),
  created_at: time(6),
}

/**
 * The methods of the control plane's `ambient.v1.SessionService` that a runner's token may call, and their messages.
 * The field numbers are that service's (control-plane.md 1.1).
 */
const SESSIONS = {
  PushSessionMessageRequest: { fields: PUSH },
  WatchSessionMessagesRequest: { fields: { session_id: string(1), after_seq: int64(2) } },
  PushSessionEventRequest: {
    fields: { ...PUSH, completed_at: optional(time(4)), event_count: int32(5) },
  },
  SessionMessage: { fields: STORED },
  SessionEvent: { fields: { ...STORED, completed_at: optional(time(7)), event_count: int32(8) } },
  SessionService: {
    methods: {
      PushSessionMessage: method('PushSessionMessageRequest', 'SessionMessage'),
      WatchSessionMessages: method('WatchSessionMessagesRequest', 'SessionMessage', { response: true }),
      PushSessionEvent: method('PushSessionEventRequest', 'SessionEvent'),
    },
  },
}

const DEFINITION = {
  nested: {
    google: { nested: { protobuf: { nested: { Timestamp: TIMESTAMP } } } },
    ambient: { nested: { v1: { nested: SESSIONS } } },
  },
}

export type SessionService = Readonly<
  Record<'PushSessionMessage' | 'WatchSessionMessages' | 'PushSessionEvent', Method>
>

export function sessionService(): SessionService {
  return loadService(DEFINITION, 'ambient.v1.SessionService')
}

const seq = z.coerce.number().int().min(0)
const Time = z
  .object({ seconds: z.coerce.number().default(0), nanos: z.number().default(0) })
  .transform(({ seconds, nanos }) => seconds * 1000 + nanos / 1e6)

/** Schema of a message from the control plane. An absent member has the default of its type. */
export const SessionMessage = z.object({
  seq: seq.default(0),
  event_type: z.string().default(''),
  payload: z.string().default(''),
  /** Milliseconds since the epoch. */
  created_at: Time.nullish(),
})
export type SessionMessage = z.infer<typeof SessionMessage>

/** Schema of the answer to a push, the same for a message and for an event. */
export const Stored = z.object({ seq: seq.default(0) })
