import type { FastifyRequest } from 'fastify'
import { RunnerError } from '../../errors.ts'

export interface HeadLimits {
  /** Of path and query. */
  urlBytesMax: number
  /** How many headers. */
  headersMax: number
}

/**
 * Refuses what Node's parser lets pass: it counts the bytes of a head as a whole only, and drops headers above 2000
 * without a word.
 *
 * @throws {RunnerError} `url_too_long`, `headers_too_large`.
 */
export function checkHead({ raw }: FastifyRequest, { urlBytesMax, headersMax }: HeadLimits): void {
  // One character is one byte here; `rawHeaders` holds names and values.
  if ((raw.url ?? '').length > urlBytesMax)
    throw new RunnerError('url_too_long', `The URL is longer than URL_BYTES_MAX (${urlBytesMax} bytes).`)
  if (raw.rawHeaders.length / 2 > headersMax)
    throw new RunnerError('headers_too_large', `There are more than HEADERS_MAX (${headersMax}) headers.`)
}
