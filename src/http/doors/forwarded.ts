import type { IncomingHttpHeaders } from 'node:http'
import proxyAddr from '@fastify/proxy-addr'
import type { FastifyInstance } from 'fastify'
import parse from 'forwarded-parse'
import { RunnerError } from '../../errors.ts'

type Older = 'x-forwarded-for' | 'x-forwarded-host' | 'x-forwarded-proto'

/**
 * Copies `Forwarded` (RFC 7239) of a trusted proxy into the older headers, which Fastify reads. The header is ignored
 * when anyone else sends it.
 *
 * Its hook refuses with `invalid_input` a malformed header, and a header that contradicts an older one.
 */
export function readForwarded(app: FastifyInstance, trustedProxies: readonly string[]): void {
  if (trustedProxies.length === 0) return
  const isTrusted = proxyAddr.compile([...trustedProxies])
  app.addHook('onRequest', async ({ raw }) => {
    const { forwarded } = raw.headers
    if (forwarded === undefined || !isTrusted(raw.socket.remoteAddress ?? '', 0)) return
    for (const [name, value] of olderForm(forwarded)) merge(raw.headers, name, value)
  })
}

function olderForm(forwarded: string): [Older, string][] {
  const elements = parseElements(forwarded)
  // The nearest proxy wrote the last element. Only the addresses form a chain.
  const { host, proto } = elements.at(-1) ?? {}
  const addresses = elements.flatMap((element) => (element.for === undefined ? [] : [addressOf(element.for)]))
  return [
    ...(addresses.length === 0 ? [] : [['x-forwarded-for', addresses.join(', ')] as [Older, string]]),
    ...(host === undefined ? [] : [['x-forwarded-host', host] as [Older, string]]),
    ...(proto === undefined ? [] : [['x-forwarded-proto', proto] as [Older, string]]),
  ]
}

function parseElements(forwarded: string): { for?: string; host?: string; proto?: string }[] {
  try {
    return parse(forwarded)
  } catch (error) {
    throw new RunnerError('invalid_input', 'The header Forwarded is not of the form of RFC 7239.', {
      cause: error,
    })
  }
}

/** Returns the address of a node identifier without port and brackets. */
function addressOf(node: string): string {
  return /^\[(.+)\](?::\w+)?$/.exec(node)?.[1] ?? node.replace(/^([\d.]+):\w+$/, '$1')
}

/**
 * Sets an older header. A different value in it is refused: a proxy that writes one kind passes the client's other kind
 * through, and nothing shows which of the two the proxy wrote.
 *
 * @throws {RunnerError} `invalid_input`.
 */
function merge(headers: IncomingHttpHeaders, name: Older, value: string): void {
  const given = headers[name]
  const known = Array.isArray(given) ? given.join(', ') : given
  if (known !== undefined && lastOf(known) !== lastOf(value)) {
    throw new RunnerError(
      'invalid_input',
      `The headers Forwarded and ${name} say different things; let the proxy remove the one that it does not write.`,
    )
  }
  headers[name] = known ?? value
}

function lastOf(list: string): string {
  return list
    .slice(list.lastIndexOf(',') + 1)
    .trim()
    .toLowerCase()
}
