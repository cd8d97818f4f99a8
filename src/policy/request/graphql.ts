// GraphQL over HTTP and over WebSocket as the rules see it (net/l7/graphql.rs, net/l7/websocket.rs).
import { createHash } from 'node:crypto'
import type { GraphqlOperation, GraphqlRequest } from './body.ts'
import { readDocument } from './graphql-document.ts'
import {
  isJsonObject,
  type JsonObject,
  member,
  parseStrictJson,
  refuseLookAlikes,
  UnreadableError,
} from './strict-json.ts'
import { canonicalTarget } from './target.ts'

export interface GraphqlHttpRequest {
  method: string
  /** The request target as on the wire, query included. */
  target: string
  body: Uint8Array
}

const DOCUMENT_IDS = ['id', 'documentId', 'queryId']
const ENVELOPE_KEYS = ['query', 'operationName', 'variables', 'extensions', ...DOCUMENT_IDS]
const MESSAGE_KEYS = ['type', 'id', 'payload']
const CONTROL_TYPES = ['connection_init', 'connection_terminate', 'ping', 'pong', 'complete', 'stop']

/** Reads a GraphQL request over HTTP. For an unreadable request, `error` is set and `operations` is empty. */
export function readGraphql(request: GraphqlHttpRequest): GraphqlRequest {
  return readable(() => {
    if (request.method.toUpperCase() === 'GET') return readGet(request)
    if (request.method.toUpperCase() === 'POST') return readPost(request)
    throw new UnreadableError('GraphQL comes by GET or POST')
  })
}

/** Reads a text message of graphql-transport-ws or graphql-ws. Returns undefined when it starts no operation. */
export function readGraphqlMessage(message: Uint8Array): GraphqlRequest | undefined {
  let isControl = false
  const request = readable(() => {
    const value = parseStrictJson(message)
    if (!isJsonObject(value)) throw new UnreadableError('the message is not an object')
    refuseLookAlikes(Object.keys(value), MESSAGE_KEYS)
    const type = member(value, 'type')
    isControl = typeof type === 'string' && CONTROL_TYPES.includes(type)
    if (isControl) return []
    if (type !== 'subscribe' && type !== 'start')
      throw new UnreadableError('the type of the message is unknown')
    const id = member(value, 'id')
    if (typeof id !== 'string' || id === '') throw new UnreadableError('the message has no id')
    const payload = member(value, 'payload')
    if (!isJsonObject(payload)) throw new UnreadableError('the payload of the message is not an object')
    return readEnvelope(payload)
  })
  return isControl && request.error === undefined ? undefined : request
}

function readable(read: () => GraphqlOperation[]): GraphqlRequest {
  try {
    return { operations: read() }
  } catch (error) {
    if (error instanceof UnreadableError) return { operations: [], error: error.message }
    throw error
  }
}

function readGet({ target, body }: GraphqlHttpRequest): GraphqlOperation[] {
  if (body.length > 0) throw new UnreadableError('a GET has no body')
  // Some servers also split the query at a semicolon. A client can percent-encode a semicolon of the document itself.
  if (target.includes(';')) throw new UnreadableError('the query of the request holds a semicolon')
  const { query } = canonicalTarget(target, { allowEncodedSlash: true })
  refuseLookAlikes([...query.keys()].map(plainKey), ENVELOPE_KEYS)
  const entries = ENVELOPE_KEYS.map((key): [string, string | undefined] => {
    const [value, ...others] = query.get(key) ?? []
    if (others.length > 0 || query.has(`${key}[]`))
      throw new UnreadableError('the request has a parameter twice')
    return [key, value === '' ? undefined : value]
  })
  const { extensions, ...texts } = Object.fromEntries(entries)
  const parsed = extensions === undefined ? undefined : parseStrictJson(Buffer.from(extensions))
  return readEnvelope({ ...texts, extensions: parsed })
}

function readPost({ target, body }: GraphqlHttpRequest): GraphqlOperation[] {
  const { query } = canonicalTarget(target, { allowEncodedSlash: true })
  // Some servers read the document from the target even when the body has one.
  const keys = [...query.keys()].map(plainKey)
  if (keys.some((key) => ENVELOPE_KEYS.includes(key))) {
    throw new UnreadableError('a POST has the operation in its body, not in its target')
  }
  refuseLookAlikes(keys, ENVELOPE_KEYS)
  const value = parseStrictJson(body)
  if (!Array.isArray(value)) return readEnvelope(value)
  if (value.length === 0) throw new UnreadableError('the batch is empty')
  return value.flatMap((item: unknown) => readEnvelope(item))
}

/** Returns the name of a parameter as some servers read it: `query[]` and `query[a]` are `query` to them. */
function plainKey(key: string): string {
  return key.replace(/[[.].*$/s, '').trim()
}

function readEnvelope(value: unknown): GraphqlOperation[] {
  if (!isJsonObject(value)) throw new UnreadableError('a request is not an object')
  refuseLookAlikes(Object.keys(value), ENVELOPE_KEYS)
  const document = textOf(value, 'query') ?? ''
  const name = textOf(value, 'operationName')
  const hash = persistedHash(member(value, 'extensions'))
  const ids = DOCUMENT_IDS.flatMap((key) => textOf(value, key) ?? [])
  const hasDocument = document.trim() !== ''
  if (ids.length + (hash === undefined || hasDocument ? 0 : 1) > 1)
    throw new UnreadableError('a request names more than one stored document')
  const [id] = ids
  const stored: GraphqlOperation[] = id === undefined ? [] : [{ type: '', name, persisted: { id } }]
  if (hasDocument) {
    if (hash !== undefined && hash.toLowerCase() !== sha256(document)) {
      throw new UnreadableError('the hash of a stored document is not that of the document beside it')
    }
    // A server may run either, so both are judged.
    return [readDocument(document, name), ...stored]
  }
  if (hash !== undefined) return [{ type: '', name, persisted: { hash } }]
  if (id === undefined) throw new UnreadableError('a request has neither a document nor the name of one')
  return stored
}

/** Returns a text member; undefined when it is null or missing. */
function textOf(value: JsonObject, key: string): string | undefined {
  const text = member(value, key)
  if (text === undefined || text === null) return undefined
  if (typeof text !== 'string')
    throw new UnreadableError('a part of the request that is text is something else')
  return text
}

function persistedHash(extensions: unknown): string | undefined {
  if (!isJsonObject(extensions)) return undefined
  refuseLookAlikes(Object.keys(extensions), ['persistedQuery'])
  const persisted = member(extensions, 'persistedQuery')
  if (!isJsonObject(persisted)) return undefined
  refuseLookAlikes(Object.keys(persisted), ['sha256Hash'])
  return textOf(persisted, 'sha256Hash') || undefined
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
