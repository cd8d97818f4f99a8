import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { RunnerError } from '../../errors.ts'

export interface HeadLimits {
  /** Of path and query. */
  urlBytesMax: number
  /** How many headers. */
  headersMax: number
}

/** No route is there. */
const NOWHERE = '/nowhere'

/**
 * The address for the router. One that it cannot read it would answer past all hooks, without what every answer says; that
 * one leads nowhere, and `checkHead` refuses it.
 */
export function readableUrl({ url = '/' }: IncomingMessage, { urlBytesMax }: HeadLimits): string {
  return url.length <= urlBytesMax && isReadable(url) ? url : NOWHERE
}

function isReadable(url: string): boolean {
  try {
    decodeURI(url.split(/[?#]/)[0] ?? '')
    return true
  } catch {
    return false
  }
}

/**
 * Refuses what Node's parser lets pass: it counts the bytes of a head as a whole only, and drops headers above 2000
 * without a word.
 *
 * @throws {RunnerError} `url_too_long`, `headers_too_large`; `invalid_input` for a path that cannot be decoded.
 */
export function checkHead(
  { raw, originalUrl }: FastifyRequest,
  { urlBytesMax, headersMax }: HeadLimits,
): void {
  // One character is one byte here; `rawHeaders` holds names and values.
  if (originalUrl.length > urlBytesMax)
    throw new RunnerError('url_too_long', `The URL is longer than URL_BYTES_MAX (${urlBytesMax} bytes).`)
  if (!isReadable(originalUrl))
    throw new RunnerError('invalid_input', 'The path of the URL is not percent-encoded UTF-8.')
  if (raw.rawHeaders.length / 2 > headersMax)
    throw new RunnerError('headers_too_large', `There are more than HEADERS_MAX (${headersMax}) headers.`)
}
