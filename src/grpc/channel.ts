// The connection to one gRPC server: address, TLS and proxy. They are decided here, because the library would read only
// some of the proxy variables, and in its own way.
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls'
import { ChannelCredentials, Client, type ClientOptions, type ServiceError, setLogger } from '@grpc/grpc-js'
import { RunnerError, toMessage } from '../errors.ts'
import type { HttpProxy, ProxySettings } from '../proxy-settings.ts'
import type { Target } from '../tunnel/connect.ts'

export interface ServerAddress {
  server: Target
  /** Undefined for a connection without TLS. */
  tls: SecureContext | undefined
  proxies: ProxySettings
}

/** The library's pause between attempts to connect, in milliseconds. It is short: callers have their own pauses. */
const RECONNECT_MS = { min: 100, max: 1000 }

/** The library's last words about a proxy. It logs them, and its error has `undefined` in their place. */
let saidOfProxy = 'the proxy did not let it through'
setLogger({
  error: (text: unknown) => {
    saidOfProxy = String(text)
  },
  info: () => undefined,
  debug: () => undefined,
})

/** Why a connection that carries no HTTP/2 does not. */
const NO_HTTP2 =
  'something on the way speaks no HTTP/2; an endpoint of OpenShell’s proxy that is reached over TLS needs `tls: skip`'

/**
 * Returns a factory of clients for the server, each with a connection of its own. The caller closes them.
 *
 * @throws {RunnerError} `config_invalid` for a proxy that cannot be used.
 */
export function connector(
  { server, tls, proxies }: ServerAddress,
  options: ClientOptions = {},
): () => Client {
  const credentials =
    tls === undefined ? ChannelCredentials.createInsecure() : ChannelCredentials.createFromSecureContext(tls)
  const proxy = proxies.proxyFor(server)
  const address = nameOf(proxy ?? server)
  const channel = {
    'grpc.enable_http_proxy': 0,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.initial_reconnect_backoff_ms': RECONNECT_MS.min,
    'grpc.min_reconnect_backoff_ms': RECONNECT_MS.min,
    'grpc.max_reconnect_backoff_ms': RECONNECT_MS.max,
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_retries': 0,
    // No limit: a message above the default of 4 MiB would end each stream before those behind it.
    'grpc.max_receive_message_length': -1,
    ...(proxy === undefined ? {} : throughProxy(proxy, server)),
    ...options,
  }
  return () => new Client(address, credentials, channel)
}

/** Cancels the call when `signal` is aborted. @returns a function that removes the listener. */
export function cancelledBy(signal: AbortSignal, call: { cancel(): void }): () => void {
  const stop = (): void => call.cancel()
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  return () => signal.removeEventListener('abort', stop)
}

export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error
}

/** Returns an error's words on one line, without what differs each time, such as the library's clock. */
export function rpcErrorText({ details }: ServiceError): string {
  return details
    .replace(/(?:\. )?Resolution note:.*$/s, '')
    .replace(/ \(\d{4}-[^()]*Z\)/, '')
    .replace('Last error: undefined', `Last error: ${saidOfProxy}`)
    .replace(/^Deadline exceeded after.*$/s, 'no answer in time')
    .replace(/[0-9A-F]+:error:[^:]*:[^:]*:[^:]*:([^:]*):.*$/s, '$1')
    .replace(/(?:no application protocol|Protocol error)$/, `$& (${NO_HTTP2})`)
    .replace(/\s+/g, ' ')
    .replace(/[ .]+$/, '')
}

function nameOf({ host, port }: Target): string {
  return `dns:${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Returns the library's options for a CONNECT proxy, which it would otherwise take from the environment. */
function throughProxy({ isSecure, authorization }: HttpProxy, server: Target): ClientOptions {
  if (isSecure) {
    const message = `The way to ${server.host} leads through an https proxy, which gRPC cannot use; name an http one, or the host in NO_PROXY.`
    throw new RunnerError('config_invalid', message)
  }
  const credentials = authorization?.replace(/^Basic /, '')
  return {
    'grpc.http_connect_target': nameOf(server),
    'grpc.default_authority': nameOf(server).slice('dns:'.length),
    ...(credentials === undefined
      ? {}
      : { 'grpc.http_connect_creds': Buffer.from(credentials, 'base64').toString() }),
  }
}

export interface TrustOptions {
  /** PEM files of authorities that are trusted in addition to the built-in ones. */
  caFiles: readonly string[]
  /** The client's own certificate and key as PEM, for mTLS. */
  client?: { cert: string; key: string } | undefined
}

/** Creates the TLS context. @throws {RunnerError} `config_invalid` for a file that cannot be read or is no PEM. */
export function trust({ caFiles, client }: TrustOptions): SecureContext {
  const ca = [...rootCertificates, ...caFiles.map((file) => readPem(file, 'CA file'))]
  try {
    return createSecureContext({ ca, ...client })
  } catch (error) {
    throw new RunnerError('config_invalid', `TLS: a certificate or key is not usable: ${toMessage(error)}.`)
  }
}

/** Checks a CA file. @throws {RunnerError} `config_invalid` when it cannot be read, or holds no certificate. */
export function checkAuthorities(file: string): void {
  const blocks = readPem(file, 'CA file').match(/-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----/gs)
  try {
    // OpenSSL takes the file without a word, and trusts nobody by it.
    for (const block of blocks ?? ['']) new X509Certificate(block)
  } catch {
    throw new RunnerError(
      'config_invalid',
      `The CA file ${file} holds no certificate, or a broken one (PEM).`,
    )
  }
}

/**
 * Reads a file; the content is not checked. `what` names it in the error.
 *
 * @throws {RunnerError} `config_invalid` when it cannot be read.
 */
export function readPem(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new RunnerError('config_invalid', `The ${what} ${file} cannot be read: ${toMessage(error)}.`)
  }
}
