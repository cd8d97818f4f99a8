// Amazon Bedrock on the loopback: it works out the signature anew, and answers as AWS does, with what the mock says.
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { crc32 } from 'node:zlib'
import { Sha256 } from '@aws-crypto/sha256-js'
import { HttpRequest } from '@smithy/protocol-http'
import { SignatureV4 } from '@smithy/signature-v4'
import { createParser } from 'eventsource-parser'

export const AWS = { region: 'eu-west-1', id: 'AKIA', secret: 'wJalrXUtnFEMI-canary-key' }

export interface SignedRequest {
  method: string
  url: string
  headers: IncomingHttpHeaders
  body: Buffer
}

/** What `authorization` has to be: a signature over what arrived, with the secret and at the time that it names. */
export async function expectedSignature({
  method,
  url,
  headers,
  body,
}: SignedRequest): Promise<string | undefined> {
  const at = String(headers['x-amz-date']).replace(
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/,
    '$1-$2-$3T$4:$5:$6Z',
  )
  const names = /SignedHeaders=([^,]+)/.exec(String(headers.authorization))?.[1]?.split(';') ?? []
  // Worked out anew, from the body that came.
  const given = names.filter((name) => name !== 'x-amz-content-sha256')
  const signed = Object.fromEntries(given.map((name) => [name, String(headers[name])]))
  const credentials = { accessKeyId: AWS.id, secretAccessKey: AWS.secret }
  const signer = new SignatureV4({ service: 'bedrock', region: AWS.region, sha256: Sha256, credentials })
  const request = new HttpRequest({
    method,
    protocol: 'http:',
    hostname: 'x',
    path: url,
    headers: signed,
    body,
  })
  return (await signer.sign(request, { signingDate: new Date(at) })).headers['authorization']
}

export interface Bedrock {
  readonly url: string
  /** Of each request, its path and whether it was signed as it has to be. */
  readonly asked: { path: string; isSigned: boolean }[]
  close(): void
}

/** @param model the mock's address, and the headers that it wants. */
export async function startBedrock(model: string, headers: Record<string, string>): Promise<Bedrock> {
  const asked: Bedrock['asked'] = []
  const server = createServer(async (request, response) => {
    const { method = '', url = '' } = request
    const body = await buffer(request)
    const isSigned =
      request.headers.authorization ===
      (await expectedSignature({ method, url, headers: request.headers, body }))
    asked.push({ path: url, isSigned })
    if (!isSigned)
      return void response.writeHead(403, { 'x-amzn-errortype': 'AccessDeniedException' }).end('{}')
    const isStream = url.endsWith('-stream')
    const name = decodeURIComponent(/^\/model\/([^/]+)/.exec(url)?.[1] ?? '')
    const answer = await fetch(`${model}/v1/messages`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', 'anthropic-version': '2023-06-01' },
      body: JSON.stringify({
        ...JSON.parse(String(body)),
        model: name,
        stream: isStream,
        anthropic_version: undefined,
      }),
    })
    response.writeHead(answer.status, {
      'content-type': isStream && answer.ok ? 'application/vnd.amazon.eventstream' : 'application/json',
    })
    if (!isStream || !answer.ok) return void response.end(Buffer.from(await answer.arrayBuffer()))
    const parser = createParser({
      onEvent: ({ data }) =>
        void response.write(eventFrame(JSON.stringify({ bytes: Buffer.from(data).toString('base64') }))),
    })
    const decoder = new TextDecoder()
    for await (const piece of answer.body ?? []) parser.feed(decoder.decode(piece, { stream: true }))
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

const STRING = 7

/** One frame of AWS's event stream: two lengths and their checksum, headers, the event, the checksum of all. */
function eventFrame(json: string): Buffer {
  const fields = { ':event-type': 'chunk', ':content-type': 'application/json', ':message-type': 'event' }
  const headers = Buffer.concat(
    Object.entries(fields).flatMap(([name, value]) => {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(value.length)
      return [
        Buffer.from([name.length]),
        Buffer.from(name),
        Buffer.from([STRING]),
        length,
        Buffer.from(value),
      ]
    }),
  )
  const payload = Buffer.from(json)
  const numbers = (...all: number[]): Buffer => {
    const bytes = Buffer.alloc(4 * all.length)
    for (const [index, number] of all.entries()) bytes.writeUInt32BE(number, 4 * index)
    return bytes
  }
  const prelude = numbers(headers.length + payload.length + 16, headers.length)
  const frame = Buffer.concat([prelude, numbers(crc32(prelude)), headers, payload])
  return Buffer.concat([frame, numbers(crc32(frame))])
}
