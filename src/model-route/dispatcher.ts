import { readFile } from 'node:fs/promises'
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls'
import { Agent, type Dispatcher, ProxyAgent } from 'undici'
import type { HttpProxy } from '../proxy-settings.ts'
import type { ModelRoute } from './route.ts'

/** How long connecting to a model may take; what comes then is bounded by who asks. */
const CONNECT_MS_MAX = 30_000

export interface Connections {
  /** On the way; null for none. */
  proxy: HttpProxy | null
  /** PEM files of authorities that are trusted beside the system's. */
  caFiles: readonly string[]
  /** Milliseconds. */
  timeoutMs?: number | undefined
}

/** How the route's model is reached: through its proxy, trusting its CA files. */
export function connectionsOf({ secrets, caFile, caBundle }: ModelRoute): Connections {
  const caFiles = [caFile, caBundle].filter((file) => file !== null)
  return { proxy: secrets.reveal().proxy, caFiles }
}

/** Connections of that kind. Whoever asked for them destroys them. */
export async function createDispatcher(options: Connections): Promise<Dispatcher> {
  const { proxy, caFiles, timeoutMs = CONNECT_MS_MAX } = options
  const tls = { secureContext: await trust(caFiles), timeout: timeoutMs }
  // A model may think for as long as who waits for it is willing to.
  const patient = { headersTimeout: 0, bodyTimeout: 0 }
  if (proxy === null) return new Agent({ ...patient, connect: tls })
  const host = proxy.host.includes(':') ? `[${proxy.host}]` : proxy.host
  const uri = `${proxy.isSecure ? 'https' : 'http'}://${host}:${proxy.port}`
  const token = proxy.authorization === undefined ? {} : { token: proxy.authorization }
  // Claude Code tunnels https only; http goes to the proxy with the absolute address.
  return new ProxyAgent({ ...patient, uri, ...token, requestTls: tls, proxyTls: tls, proxyTunnel: false })
}

/** Reading the system's roots stops the event loop for some 20 ms, so they are read once for the same files. */
let trusted: { key: string; context: SecureContext } | undefined

/** The system's roots and the route's own CA files, as far as they can be read; a TLS failure names the file. */
async function trust(files: readonly string[]): Promise<SecureContext> {
  const extra = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')))
  const key = extra.join('\0')
  if (trusted?.key !== key)
    trusted = { key, context: createSecureContext({ ca: [...rootCertificates, ...extra] }) }
  return trusted.context
}
