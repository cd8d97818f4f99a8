import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { RunnerError } from '../../errors.ts'

export interface HeadLimits {
  /** Upper bound of path and query together, in bytes. */
  urlBytesMax: number
  /** Upper bound of the number of headers. */
  headersMax: number
}

/** A path without a route. */
const NOWHERE = '/nowhere'

/** The beginning of a URL in absolute form, as a client sends it to a proxy (RFC 9112, section 3.2.2). */
const AUTHORITY = /^https?:\/\/([^/?#]*)/i

/**
 * Returns the URL for the router and the routes: path and query. The router would answer an unreadable URL without the
 * hooks, and so without the headers of every answer. Such a URL is replaced by a path without a route, and `checkHead`
 * then refuses the request.
 */
export function readableUrl({ url = '/' }: IncomingMessage, { urlBytesMax }: HeadLimits): string {
  if (url.length > urlBytesMax || !isReadable(url)) return NOWHERE
  return url.replace(AUTHORITY, '').replace(/^(?=$|[?#])/, '/')
}

function isReadable(url: string): boolean {
  try {
    decodeURI(url.split(/[?#]/)[0] ?? '')
    return true
  } catch {
    return false
  }
}

/** Headers of which Node silently takes the first where there are several. Another reader may take the last. */
const SINGLE = ['host', 'authorization', 'content-type']

/**
 * Refuses what Node's parser accepts. The parser limits only the bytes of the whole head, and silently drops headers
 * above 2000.
 *
 * @throws {RunnerError} `url_too_long`, `headers_too_large`; `invalid_input` for a path that cannot be decoded, a URL of
 * another host than the Host header's, or a header that is repeated.
 */
export function checkHead(
  { raw, originalUrl }: FastifyRequest,
  { urlBytesMax, headersMax }: HeadLimits,
): void {
  // In a URL of a request one character is one byte. `rawHeaders` alternates names and values.
  if (originalUrl.length > urlBytesMax)
    throw new RunnerError('url_too_long', `The URL is longer than URL_BYTES_MAX (${urlBytesMax} bytes).`)
  if (!isReadable(originalUrl))
    throw new RunnerError('invalid_input', 'The path of the URL is not percent-encoded UTF-8.')
  const [, authority] = AUTHORITY.exec(originalUrl) ?? []
  if (authority !== undefined && authority.toLowerCase() !== raw.headers.host?.toLowerCase())
    throw new RunnerError('invalid_input', 'The URL names another host than the Host header.')
  if (raw.rawHeaders.length / 2 > headersMax)
    throw new RunnerError('headers_too_large', `There are more than HEADERS_MAX (${headersMax}) headers.`)
  const names = raw.rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [name.toLowerCase()] : []))
  const repeated = SINGLE.find((name) => names.indexOf(name) !== names.lastIndexOf(name))
  if (repeated !== undefined)
    throw new RunnerError('invalid_input', `The header ${repeated} may stand in a request once.`)
}

/** Refuses a body that is compressed, as no parser here decodes any. @throws {RunnerError} `unsupported_media_type`. */
export function checkCoding({ headers }: FastifyRequest): void {
  const { 'content-encoding': content = 'identity', 'transfer-encoding': transfer = 'chunked' } = headers
  if (content.toLowerCase() === 'identity' && transfer.toLowerCase() === 'chunked') return
  throw new RunnerError('unsupported_media_type', 'The body is compressed; send it without Content-Encoding.')
}
