import { MODEL_ALIAS } from './bwrap/inside-environment.ts'
import type { EgressProxyOptions } from './egress/egress-proxy.ts'

/** Returns the model's address for the proxy; undefined for inference.local, and without a valid URL. */
export function toModelEndpoint(url: string | undefined): EgressProxyOptions['model'] {
  if (url === undefined || !URL.canParse(url)) return undefined
  const { hostname, port, protocol } = new URL(url)
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const number = Number(port || (protocol === 'http:' ? 80 : 443))
  if (host === 'inference.local') return undefined
  // Inside, loopback is the sandbox's own, so a model on the machine's loopback gets an alias.
  const isLoopback = host === 'localhost' || host === '::1' || host.startsWith('127.')
  return isLoopback
    ? { host: MODEL_ALIAS, port: number, dialled: { host, port: number } }
    : { host, port: number }
}
