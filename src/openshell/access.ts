import { readFile } from 'node:fs/promises'
import type { SecureContext } from 'node:tls'
import { Metadata } from '@grpc/grpc-js'
import { RunnerError, toMessage } from '../errors.ts'
import { checkAuthorities, readPem, trust } from '../grpc/channel.ts'
import type { Target } from '../tunnel/connect.ts'

export interface AccessOptions {
  /** `http://` or `https://` HOST:PORT. */
  gateway: string
  /** PEM files. `tlsCert` and `tlsKey` are the client's own (mTLS). */
  tlsCa?: string | undefined
  tlsCert?: string | undefined
  tlsKey?: string | undefined
  /** A file that holds an OIDC token. */
  tokenFile?: string | undefined
  /** A file that holds a token of Cloudflare Access, which stands before the gateway. */
  edgeTokenFile?: string | undefined
}

/** Form of a token that is safe in a header and in a cookie. */
const TOKEN = /^[A-Za-z0-9._~+/=-]{1,16384}$/
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/i

/** The gateway's address, and the client's certificate and tokens for it. */
export class Access {
  readonly server: Target
  readonly tls: SecureContext | undefined
  readonly #options: AccessOptions
  /** Every token that was read, by its file. */
  readonly #tokens = new Map<string, string[]>()

  /** @throws {RunnerError} `config_invalid`. */
  constructor(options: AccessOptions) {
    const { gateway, tlsCa, tlsCert, tlsKey, tokenFile, edgeTokenFile } = options
    const url = addressOf(gateway)
    const isTls = url.protocol === 'https:'
    const host = url.hostname.replace(/^\[|\]$/g, '')
    if ((tlsCert === undefined) !== (tlsKey === undefined))
      throw invalid('--tls-cert and --tls-key belong together')
    if (tokenFile !== undefined && edgeTokenFile !== undefined)
      throw invalid('--token-file and --edge-token-file exclude each other')
    if (!isTls && (tlsCa ?? tlsCert) !== undefined)
      throw invalid(`${gateway} is not https, so no certificate is shown there`)
    if (!isTls && (tokenFile ?? edgeTokenFile) !== undefined && !LOOPBACK.test(host))
      throw invalid(`a token would go to ${host} in the clear; use https`)
    if (tlsCa !== undefined) checkAuthorities(tlsCa)
    this.#options = options
    this.server = { host, port: Number(url.port || (isTls ? 443 : 80)) }
    const client =
      tlsCert === undefined || tlsKey === undefined
        ? undefined
        : { cert: readPem(tlsCert, 'certificate'), key: readPem(tlsKey, 'key') }
    this.tls = isTls ? trust({ caFiles: tlsCa === undefined ? [] : [tlsCa], client }) : undefined
  }

  /**
   * Returns the metadata of one call. The token file is read each time, because signing in again replaces it.
   *
   * @throws {RunnerError} `config_invalid` for a file that cannot be read or holds no token, and never did.
   */
  async metadata(): Promise<Metadata> {
    const { tokenFile, edgeTokenFile } = this.#options
    const metadata = new Metadata()
    if (tokenFile !== undefined) metadata.set('authorization', `Bearer ${await this.#read(tokenFile)}`)
    if (edgeTokenFile !== undefined) {
      const token = await this.#read(edgeTokenFile)
      metadata.set('cf-access-jwt-assertion', token)
      metadata.set('cookie', `CF_Authorization=${token}`)
    }
    return metadata
  }

  /** Every token that was read so far, for redaction. */
  get secrets(): readonly string[] {
    return [...this.#tokens.values()].flat()
  }

  /** Returns the file's token. A file that is just being replaced may be absent or empty: the last token is used then. */
  async #read(file: string): Promise<string> {
    const tokens = this.#tokens.get(file) ?? []
    const last = tokens.at(-1)
    try {
      const token = await readToken(file)
      if (token !== last) this.#tokens.set(file, [...tokens, token])
      return token
    } catch (error) {
      if (last === undefined) throw error
      return last
    }
  }
}

async function readToken(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw invalid(`the token file ${file} cannot be read: ${toMessage(error)}`)
  })
  const token = text.trim()
  if (TOKEN.test(token)) return token
  throw invalid(`the file ${file} holds no token, or more than one`)
}

function addressOf(gateway: string): URL {
  const url = URL.canParse(gateway) ? new URL(gateway) : undefined
  const isAddress =
    url !== undefined &&
    /^https?:$/.test(url.protocol) &&
    url.username === '' &&
    url.password === '' &&
    /^\/?$/.test(url.pathname + url.search + url.hash)
  if (!isAddress) throw invalid('the gateway is http://HOST:PORT or https://HOST:PORT, and nothing behind it')
  return url
}

function invalid(message: string): RunnerError {
  return new RunnerError('config_invalid', `openshell: ${message}.`)
}
