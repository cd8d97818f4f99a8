// gRPC services as data: a table of messages, from which protobufjs makes the wire form and TypeScript the types.
import { fromJSON, type MethodDefinition } from '@grpc/proto-loader'

/** A field as protobufjs reads it. With a `keyType` it is a map from strings to `type`. */
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

export const string = scalar('string')
export const bytes = scalar('bytes')
export const bool = scalar('bool')
export const double = scalar('double')
export const uint32 = scalar('uint32')
/** An int32 or an enum, which are the same on the wire. */
export const int32 = scalar('int32')
/** A number of 64 bits. It is read as a string, because a double would round it. */
export const int64 = scalar('int64')
export const one = <const T extends string>(type: T, id: number) => ({ type, id })
export const listOf = <const T extends string>(type: T, id: number) =>
  ({ type, id, rule: 'repeated' }) as const
export const mapOf = <const T extends string>(type: T, id: number) =>
  ({ type, id, keyType: 'string' }) as const

export const time = (id: number) => one('google.protobuf.Timestamp', id)
export const TIMESTAMP = { fields: { seconds: int64(1), nanos: int32(2) } }

/** Describes a method; `streams` names the sides that send more than one message. */
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

/** The object from which a message of the table is written. An absent field has the default of its type. */
export type Written<M extends Messages, N extends keyof M> = {
  readonly [F in keyof M[N]['fields']]?: Held<M, M[N]['fields'][F]>
}

/** A method's path and the serializers of its request and answer. */
export type Method = MethodDefinition<object, object>

/** Loads the methods of one service, by their names. `service` is its qualified name. */
export function loadService<N extends string>(
  definition: { nested: Record<string, object> },
  service: string,
): Readonly<Record<N, Method>> {
  return Object(fromJSON(definition, { keepCase: true, longs: String })[service])
}
