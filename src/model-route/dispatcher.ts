import { readFile } from 'node:fs/promises'
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls'
import { Agent, type Dispatcher, ProxyAgent } from 'undici'
import type { HttpProxy } from '../proxy-settings.ts'
import type { ModelRoute } from './route.ts'

/** Upper bound of connecting to a model, in milliseconds; the caller bounds the answer. */
const CONNECT_MS_MAX = 30_000

export interface Connections {
  /** The proxy on the way; null when there is none. */
  proxy: HttpProxy | null
  /** PEM files of authorities that are trusted beside Node's bundled roots. */
  caFiles: readonly string[]
  /** Upper bound of connecting, in milliseconds; CONNECT_MS_MAX by default. */
  timeoutMs?: number | undefined
}

/** Returns how the route's model is reached: through its proxy, trusting its CA files. */
export function connectionsOf({ secrets, caFile, caBundle }: ModelRoute): Connections {
  const caFiles = [caFile, caBundle].filter((file) => file !== null)
  return { proxy: secrets.reveal().proxy, caFiles }
}

/** Creates a dispatcher for such connections; the caller destroys it. */
export async function createDispatcher(options: Connections): Promise<Dispatcher> {
  const { proxy, caFiles, timeoutMs = CONNECT_MS_MAX } = options
  const tls = { secureContext: await trust(caFiles), timeout: timeoutMs }
  // A model may think for as long as its caller is willing to wait.
  const patient = { headersTimeout: 0, bodyTimeout: 0 }
  if (proxy === null) return new Agent({ ...patient, connect: tls })
  const host = proxy.host.includes(':') ? `[${proxy.host}]` : proxy.host
  const uri = `${proxy.isSecure ? 'https' : 'http'}://${host}:${proxy.port}`
  const token = proxy.authorization === undefined ? {} : { token: proxy.authorization }
  // Claude Code tunnels https only; http goes to the proxy with the absolute address.
  return new ProxyAgent({ ...patient, uri, ...token, requestTls: tls, proxyTls: tls, proxyTunnel: false })
}

/** Context for the last CA files, kept because parsing the roots blocks the event loop for some 20 ms. */
let trusted: { key: string; context: SecureContext } | undefined

/** Trusts Node's bundled roots and the CA files that can be read; a TLS failure's message names an unreadable file. */
async function trust(files: readonly string[]): Promise<SecureContext> {
  const extra = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')))
  const key = extra.join('\0')
  if (trusted?.key !== key)
    trusted = { key, context: createSecureContext({ ca: [...rootCertificates, ...extra] }) }
  return trusted.context
}
