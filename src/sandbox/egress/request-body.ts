// Reads the body of a request whose endpoint judges bodies. The whole body is read before anything is sent upstream,
// and its bytes are sent unchanged.
import type { IncomingMessage } from 'node:http'
import type { EgressRequest } from '../../policy/decide/decision.ts'
import type { BodyReading } from '../../policy/request/body.ts'
import { readJsonRpc } from '../../policy/request/json-rpc.ts'

export interface RequestBody {
  bytes: Buffer
  /** The parsed body, for the judge; holds an error when the body could not be read. */
  asked: Pick<EgressRequest, 'graphql' | 'jsonRpc'>
}

const BODY_MS_MAX = 30_000
/** Media types of JSON, including `application/graphql-response+json` and its like. */
const JSON_TYPE = /^application\/(?:[a-z0-9.-]+\+)?(?:json|json-rpc|jsonrequest)$/

/** Reads and parses the body. Rejects when the client breaks off, or takes longer than BODY_MS_MAX. */
export async function readRequestBody(request: IncomingMessage, reading: BodyReading): Promise<RequestBody> {
  const unreadable = headProblem(request, reading)
  if (unreadable !== undefined) return refused(reading, unreadable)
  const bytes = await collect(request, reading.bytesMax)
  if (bytes === undefined) return refused(reading, tooLong(reading))
  const problem = bytes.length > 0 ? typeProblem(request) : undefined
  if (problem !== undefined) return refused(reading, problem)
  const { method = '', url = '/' } = request
  if (reading.protocol === 'graphql') {
    // Loaded with the first GraphQL request: most runners never see one.
    const { readGraphql } = await import('../../policy/request/graphql.ts')
    return { bytes, asked: { graphql: readGraphql({ method, target: url, body: bytes }) } }
  }
  if (bytes.length === 0 && isReceiveStream(request)) {
    return { bytes, asked: { jsonRpc: { calls: [], isReceiveStream: true } } }
  }
  const isMcp = reading.protocol === 'mcp'
  return { bytes, asked: { jsonRpc: readJsonRpc(bytes, { ...reading, isMcp }) } }
}

function refused({ protocol }: BodyReading, error: string): RequestBody {
  const asked =
    protocol === 'graphql' ? { graphql: { operations: [], error } } : { jsonRpc: { calls: [], error } }
  return { bytes: Buffer.alloc(0), asked }
}

const tooLong = ({ bytesMax }: BodyReading): string => `the body is longer than ${bytesMax} bytes`

/** Returns the reason not to read the body at all; undefined when there is none. */
function headProblem({ headers }: IncomingMessage, reading: BodyReading): string | undefined {
  if (Number(headers['content-length'] ?? 0) > reading.bytesMax) return tooLong(reading)
  const coding = headers['transfer-encoding']
  if (coding !== undefined && coding.trim().toLowerCase() !== 'chunked')
    return 'the transfer coding is not chunked'
  return undefined
}

/** Returns why the headers do not declare uncompressed JSON in UTF-8: the server reads the body as they say. */
function typeProblem({ headersDistinct }: IncomingMessage): string | undefined {
  const encodings = headersDistinct['content-encoding'] ?? []
  if (encodings.some((encoding) => !['', 'identity'].includes(encoding.trim().toLowerCase()))) {
    return 'a compressed body cannot be read'
  }
  const [type, ...others] = headersDistinct['content-type'] ?? []
  if (others.length > 0) return 'there are several Content-Type headers'
  const [media = '', ...parameters] = (type ?? 'application/json').toLowerCase().split(';')
  const charsets = parameters
    .map((parameter) => parameter.trim())
    .filter((name) => name.startsWith('charset'))
  if (!JSON_TYPE.test(media.trim())) return 'the Content-Type is not that of JSON'
  return charsets.every((text) => /^charset="?utf-?8"?$/.test(text)) ? undefined : 'the charset is not UTF-8'
}

/** Returns the body; undefined when it is longer than `bytesMax`, and then the rest stays unread. */
async function collect(request: IncomingMessage, bytesMax: number): Promise<Buffer | undefined> {
  const pieces: Buffer[] = []
  let length = 0
  const timer = setTimeout(() => request.destroy(new Error('the body did not come in time')), BODY_MS_MAX)
  try {
    // Leaving the loop must keep the connection open for the answer.
    for await (const piece of request.iterator({ destroyOnReturn: false })) {
      length += piece.length
      if (length > bytesMax) return undefined
      pieces.push(piece)
    }
    return Buffer.concat(pieces, length)
  } finally {
    clearTimeout(timer)
  }
}

/** Decides whether an MCP client asks for the server's own messages: a GET that accepts an event stream. */
function isReceiveStream({ method, headersDistinct }: IncomingMessage): boolean {
  const accepted = (headersDistinct['accept'] ?? []).join(',').split(',')
  const types = accepted.map((range) => range.split(';', 1)[0]?.trim().toLowerCase())
  return method === 'GET' && types.includes('text/event-stream')
}
