// A GitHub on the loopback that verifies what it is shown: the App's signature, and of a token whether it is good and for what.
import { createVerify, generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { z } from 'zod'

export const APP_ID = '4242'
export const HOUR_MS = 3_600_000
const { privateKey, publicKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
})
export const APP_KEY = privateKey

const Wanted = z.object({
  repositories: z.array(z.string()),
  permissions: z.record(z.string(), z.string()),
})

interface MintedToken extends z.infer<typeof Wanted> {
  token: string
  endsAt: number
  isRevoked: boolean
}

export interface AppServer {
  readonly url: string
  /** Every request, as `METHOD PATH`. */
  readonly asked: string[]
  readonly minted: MintedToken[]
  /** The answer to the App in the place of the right one. */
  refusal: { status: number; message: string } | undefined
  /** What is said of a new token, in the place of the truth. */
  answer: Record<string, unknown>
  /** Whoever wants a token waits for it. */
  gate: Promise<void> | undefined
  /** Resolves when so many more requests for a token have come. */
  nextMints(count?: number): Promise<void>
  close(): Promise<void>
}

/** Who signed the request: the App, when its JWT is good now and for at most ten minutes. */
export function issuerOf(authorization = ''): string | undefined {
  const [, head = '', claims = '', signature = ''] =
    /^bearer ([^.]+)\.([^.]+)\.([^.]+)$/i.exec(authorization) ?? []
  const isSigned = createVerify('RSA-SHA256')
    .update(`${head}.${claims}`)
    .verify(publicKey, signature, 'base64url')
  if (!isSigned) return undefined
  const { iat, exp, iss } = JSON.parse(Buffer.from(claims, 'base64url').toString())
  const now = Date.now() / 1000
  return iat <= now && exp > now && exp - iat <= 600 ? String(iss) : undefined
}

/** What is shown as a bearer token, or as the password that git sends. */
function tokenIn({ headers }: IncomingMessage): string {
  const [, scheme = '', value = ''] = /^(\w+) (.+)$/.exec(headers.authorization ?? '') ?? []
  if (scheme !== 'Basic') return value
  return Buffer.from(value, 'base64').toString().replace('x-access-token:', '')
}

/** @param now of the clock that tokens end by. */
export async function startAppServer(now: () => number = Date.now): Promise<AppServer> {
  const asked: string[] = []
  const minted: MintedToken[] = []
  let onMint: () => void = () => undefined
  const answerTo = async (request: IncomingMessage): Promise<[number, unknown?]> => {
    const line = `${request.method} ${request.url?.replace(/\?.*/, '')}`
    asked.push(line)
    const good = minted.find(
      ({ token, endsAt, isRevoked }) => token === tokenIn(request) && endsAt > now() && !isRevoked,
    )
    if (line === 'DELETE /installation/token') {
      if (good === undefined) return [401, { message: 'Bad credentials' }]
      good.isRevoked = true
      return [204]
    }
    const [, name = ''] = /^GET \/(?:repos\/)?acme\/([\w-]+)(?:\.git\/info\/refs)?$/.exec(line) ?? []
    if (name !== '')
      return good?.repositories.includes(name) ? [200, { name }] : [401, { message: 'Bad credentials' }]
    const isMint = line === 'POST /app/installations/7/access_tokens'
    if (isMint) {
      onMint()
      await server.gate
    }
    const { status, message } = server.refusal ?? {}
    // An App that is not installed has no installation; what the installation lacks is said when a token is wanted.
    if (status !== undefined && (status === 401 || (status === 404) !== isMint)) return [status, { message }]
    if (issuerOf(request.headers.authorization) !== APP_ID) return [401, { message: 'Bad JWT' }]
    if (line === 'GET /app') return [200, { id: 4242 }]
    if (/^GET \/(repos\/acme\/[\w-]+\/installation|app\/installations\/7)$/.test(line))
      return [200, { id: 7, permissions: { contents: 'write', pull_requests: 'write' } }]
    if (!isMint) return [404, { message: 'Not Found' }]
    const wanted = Wanted.parse(await json(request))
    // As long as GitHub's own of this year.
    const token = `gh${'s'}_4242_${String(minted.length).padStart(60, 'a')}.${'b'.repeat(60)}.c`
    minted.push({ ...wanted, token, endsAt: now() + HOUR_MS, isRevoked: false })
    const end = new Date(now() + HOUR_MS).toISOString()
    return [201, { token, expires_at: end, permissions: {}, ...server.answer }]
  }
  const http = createServer(async (request, response) => {
    const [status, body] = await answerTo(request)
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(body === undefined ? undefined : JSON.stringify(body))
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const server: AppServer = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    asked,
    minted,
    refusal: undefined,
    answer: {},
    gate: undefined,
    nextMints: (count = 1) =>
      new Promise((resolve) => {
        let left = count
        onMint = () => {
          left -= 1
          if (left === 0) resolve()
        }
      }),
    async close() {
      http.closeAllConnections()
      if (http.listening) await new Promise((resolve) => http.close(resolve))
    },
  }
  return server
}
