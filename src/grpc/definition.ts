// Services of gRPC as data: a table of messages, of which protobufjs makes the wire form and TypeScript the types.
import { fromJSON, type MethodDefinition } from '@grpc/proto-loader'

/** As protobufjs reads it; with a `keyType` it is a map of texts to `type`. */
interface Field {
  readonly type: string
  readonly id: number
  readonly rule?: 'repeated'
  readonly keyType?: 'string'
}

type Messages = Readonly<Record<string, { readonly fields: Readonly<Record<string, Field>> }>>

const scalar =
  <const T extends string>(type: T) =>
  (id: number) => ({ type, id })

export const text = scalar('string')
export const bytes = scalar('bytes')
export const bool = scalar('bool')
export const double = scalar('double')
export const uint32 = scalar('uint32')
/** An enum too: on the wire they are one. */
export const int32 = scalar('int32')
/** A number of 64 bits is read as a text: a double would round it. */
export const int64 = scalar('int64')
export const one = <const T extends string>(type: T, id: number) => ({ type, id })
export const listOf = <const T extends string>(type: T, id: number) =>
  ({ type, id, rule: 'repeated' }) as const
export const mapOf = <const T extends string>(type: T, id: number) =>
  ({ type, id, keyType: 'string' }) as const

export const time = (id: number) => one('google.protobuf.Timestamp', id)
export const TIMESTAMP = { fields: { seconds: int64(1), nanos: int32(2) } }

/** `streams` names the sides that send more than one message. */
export const method = <const Q extends string, const A extends string>(
  requestType: Q,
  responseType: A,
  streams: { request?: true; response?: true } = {},
) => ({
  requestType,
  responseType,
  requestStream: streams.request === true,
  responseStream: streams.response === true,
  comment: '',
})

interface Scalars {
  string: string
  bytes: Uint8Array
  bool: boolean
  double: number
  uint32: number
  int32: number
  int64: string | number
}

type Value<M extends Messages, T> = T extends keyof Scalars
  ? Scalars[T]
  : T extends keyof M
    ? Written<M, T>
    : never

type Held<M extends Messages, F> = F extends { type: infer T; rule: 'repeated' }
  ? readonly Value<M, T>[]
  : F extends { type: infer T; keyType: 'string' }
    ? Readonly<Record<string, Value<M, T>>>
    : F extends { type: infer T }
      ? Value<M, T>
      : never

/** What a message of the table is written from. An absent field has the default of its type. */
export type Written<M extends Messages, N extends keyof M> = {
  readonly [F in keyof M[N]['fields']]?: Held<M, M[N]['fields'][F]>
}

/** How a method's path, request and answer are written. */
export type Method = MethodDefinition<object, object>

/** The methods of one service, by their names. */
export function loadService<N extends string>(
  definition: { nested: Record<string, object> },
  service: string,
): Readonly<Record<N, Method>> {
  return Object(fromJSON(definition, { keepCase: true, longs: String })[service])
}
