// Requests that nobody sends by accident, made from the OpenAPI document of a runner.
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import fc from 'fast-check'

type Json = Record<string, unknown>

export interface FuzzOperation {
  method: string
  /** As in the document: `/sessions/{threadId}`. */
  path: string
  parameters?: { name: string; in: string; required: boolean; schema: Json }[]
  requestBody?: { content: Record<string, { schema: Json }> }
}

export interface FuzzRequest {
  method: string
  /** As it goes over the wire. */
  path: string
  headers?: Record<string, string | string[]>
  body?: string | Buffer
}

export interface FuzzAnswer {
  status: number
  type: string
  /** Of an answer that ends; a stream is left after its head. */
  body: string
}

const PATH_VALUES = [
  '%00',
  '%0a%0d',
  '%ff%fe',
  '%ED%A0%80',
  '%F0%9F%98%80',
  '%2e%2e%2f%2e%2e%2fetc%2fpasswd',
  '..%5c..%5c',
  '.',
  '~',
  '%',
  '%zz',
  '%E0%A4%A',
  '%25',
  "'%22%3C%3E",
  '__proto__',
  'constructor',
  'a'.repeat(300),
  'a'.repeat(4000),
  '%41'.repeat(1200),
  '%20',
]
const QUERY_VALUES = [
  '',
  'true',
  '-1',
  '-2',
  '0',
  '1e400',
  'NaN',
  '0x10',
  '9007199254740993',
  '%00',
  '%ff',
  '%',
  '../../etc/passwd',
  '%2e%2e%2f%2e%2e',
  '/',
  '/etc/passwd',
  '%0d%0aset-cookie:%20a=b',
  'a'.repeat(3000),
]
const JSON_VALUES: unknown[] = [
  null,
  true,
  0,
  -1,
  1e308,
  '',
  's',
  '\0',
  '\ud800',
  '../..',
  '-x',
  [],
  [null],
  {},
  { __proto__: null },
  'a'.repeat(5000),
]
const BODIES: (string | Buffer)[] = [
  '',
  ' ',
  '{',
  'nul',
  '{"a":1}{"b":2}',
  '\ufeff{}',
  '{"__proto__":{"a":1}}',
  '{"constructor":{"prototype":{"a":1}}}',
  '{"a":1,"a":2}',
  '['.repeat(900),
  `${'['.repeat(400)}${']'.repeat(400)}`,
  `${'{"a":'.repeat(150)}1${'}'.repeat(150)}`,
  Buffer.from([0xff, 0xfe, 0x00, 0x7b]),
  Buffer.from('{"threadId":"\xff"}', 'latin1'),
]
const CONTENT_TYPES = [
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/json; charset=utf-16',
  'application/json, text/plain',
  'application/vnd.api+json',
  'application/JSON ;;; =',
  '/',
  'x',
]
const HEADERS: Record<string, string | string[]>[] = [
  { accept: '*/*;q=0' },
  { accept: 'application/vnd.ag-ui.event+proto' },
  { accept: ',,,;;q=' },
  { 'content-encoding': 'gzip', 'content-type': 'application/json' },
  { 'transfer-encoding': 'chunked', 'content-type': 'application/json' },
  { 'last-event-id': '-5' },
  { 'last-event-id': '1, 2' },
  { 'last-event-id': 'a'.repeat(2000) },
  { origin: 'null' },
  { origin: 'http://evil.example' },
  { host: 'evil.example' },
  { host: '' },
  { authorization: 'Bearer' },
  { cookie: 'a'.repeat(4000) },
  { range: 'bytes=0-' },
  { expect: 'something-else' },
  { upgrade: 'websocket', connection: 'Upgrade' },
  { upgrade: 'h2c', connection: 'Upgrade' },
  { 'if-none-match': '*' },
  { 'x-github-token': 'a\tb' },
  { 'x-http-method-override': 'DELETE' },
]
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY']
const RANDOM_BODIES = 4

/** Every request for one operation of the document. */
export function requestsFor(operation: FuzzOperation, seed: number): FuzzRequest[] {
  const { method, parameters = [], requestBody } = operation
  const plain = operation.path.replace(/\{\w+\}/g, 'fuzz')
  const isJson = requestBody?.content['application/json'] !== undefined
  const json = isJson ? { headers: { 'content-type': 'application/json' }, body: '{}' } : {}
  const requests: FuzzRequest[] = [{ method, path: plain, ...json }]
  for (const { name } of parameters.filter((parameter) => parameter.in === 'path'))
    for (const value of PATH_VALUES)
      requests.push({
        method,
        path: operation.path.replace(`{${name}}`, value).replace(/\{\w+\}/g, 'fuzz'),
        ...json,
      })
  for (const { name } of parameters.filter((parameter) => parameter.in === 'query')) {
    for (const value of QUERY_VALUES) requests.push({ method, path: `${plain}?${name}=${value}` })
    requests.push({ method, path: `${plain}?${name}=1&${name}=2` }, { method, path: `${plain}?${name}[]=1` })
  }
  requests.push({ method, path: `${plain}?__proto__=1&constructor=2&&=&%ff=%00`, ...json })
  for (const headers of HEADERS) requests.push({ method, path: plain, headers })
  if (requestBody !== undefined) requests.push(...bodiesFor(method, plain, requestBody, seed))
  for (const other of METHODS) requests.push({ method: other, path: plain, ...json })
  return requests
}

function bodiesFor(
  method: string,
  path: string,
  requestBody: NonNullable<FuzzOperation['requestBody']>,
  seed: number,
): FuzzRequest[] {
  const headers = { 'content-type': 'application/json' }
  const requests: FuzzRequest[] = [...BODIES, 'x'.repeat(6000)].map((body) => ({
    method,
    path,
    headers,
    body,
  }))
  for (const type of CONTENT_TYPES)
    requests.push({ method, path, headers: { 'content-type': type }, body: '{}' })
  const random = fc.sample(fc.jsonValue({ maxDepth: 4 }), { seed, numRuns: RANDOM_BODIES })
  const values = [...JSON_VALUES, ...random, ...mutations(requestBody.content['application/json']?.schema)]
  for (const value of values) requests.push({ method, path, headers, body: JSON.stringify(value) })
  return requests
}

/** One field after the other with each wrong value, the others as small as the schema allows. */
function mutations(schema: Json | undefined): unknown[] {
  const options = Array.isArray(schema?.['anyOf']) ? schema['anyOf'] : [schema]
  const object = options.find((option: Json | undefined) => option?.['properties'] !== undefined)
  if (object === undefined) return []
  const properties: Record<string, Json> = object.properties
  const required: string[] = object.required ?? []
  const least = Object.fromEntries(required.map((name) => [name, smallest(properties[name] ?? {})]))
  return Object.keys(properties).flatMap((name) => JSON_VALUES.map((value) => ({ ...least, [name]: value })))
}

function smallest(schema: Json): unknown {
  if (schema['const'] !== undefined) return schema['const']
  if (Array.isArray(schema['enum'])) return schema['enum'][0]
  const defaults: Record<string, unknown> = { string: 's', array: [], object: {}, number: 0, integer: 0 }
  return defaults[String(schema['type'])] ?? null
}

/** Requests that no client library would write, as bytes; `HOST` stands for the runner's. */
export const RAW_REQUESTS: readonly string[] = [
  'FOO / HTTP/1.1\r\nhost: HOST\r\n\r\n',
  'GET / HTTP/9.9\r\nhost: HOST\r\n\r\n',
  'GET\r\n\r\n',
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  'GET /sessions HTTP/1.1\r\n\r\n',
  'GET /sessions HTTP/1.1\r\nhost: HOST\r\nhost: evil.example\r\n\r\n',
  `GET /sessions HTTP/1.1\r\nhost: HOST\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`,
  `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nhost: HOST\r\n\r\n`,
  `GET /sessions HTTP/1.1\r\nhost: HOST\r\n${'x: y\r\n'.repeat(2500)}\r\n`,
  'GET /a b c HTTP/1.1\r\nhost: HOST\r\n\r\n',
  'GET http://evil.example/sessions HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n',
  'GET //sessions HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n',
  'GET /sessions#x HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n',
  'CONNECT evil.example:443 HTTP/1.1\r\nhost: HOST\r\n\r\n',
  'GET /sessions HTTP/1.1\r\nhost: HOST\r\nbad header\r\n\r\n',
  'GET /sessions HTTP/1.1\r\nhost: HOST\r\nx: a\x00b\r\n\r\n',
  'POST / HTTP/1.1\r\nhost: HOST\r\ncontent-type: application/json\r\ncontent-length: abc\r\n\r\n{}',
  'POST / HTTP/1.1\r\nhost: HOST\r\ncontent-type: application/json\r\ncontent-length: -1\r\n\r\n{}',
  'POST / HTTP/1.1\r\nhost: HOST\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n{}',
  'POST / HTTP/1.1\r\nhost: HOST\r\ncontent-type: application/json\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nhost: HOST\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n',
  `POST / HTTP/1.1\r\nhost: HOST\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`,
  `POST / HTTP/1.1\r\nhost: HOST\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n${'400\r\n'}${' '.repeat(1024)}\r\n`.repeat(
    1,
  ) + `${'400\r\n'}${' '.repeat(1024)}\r\n`.repeat(8),
  'GET /ws HTTP/1.1\r\nhost: HOST\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 99\r\nsec-websocket-key: x\r\n\r\n',
  'GET /sessions HTTP/1.1\r\nhost: HOST\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
]

const agent = new Agent({ keepAlive: true, maxSockets: 16 })

/** @throws when no answer has begun within `timeoutMs`. */
export function send(url: string, wanted: FuzzRequest, timeoutMs: number): Promise<FuzzAnswer> {
  const { hostname, port } = new URL(url)
  const { method, path, headers = {}, body } = wanted
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
    const options = { hostname, port, method, path, headers: { ...length, ...headers }, agent }
    const sent = request(options, (response) => {
      const type = String(response.headers['content-type'] ?? '')
      const status = response.statusCode ?? 0
      const settle = (text: string): void => {
        clearTimeout(late)
        resolve({ status, type, body: text })
      }
      if (/event-stream|ag-ui\.event/.test(type)) {
        settle('')
        sent.destroy()
        return
      }
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => settle(Buffer.concat(chunks).toString('utf8')))
      response.on('error', reject)
    })
    const late = setTimeout(() => sent.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    sent.on('upgrade', (response, socket) => {
      clearTimeout(late)
      socket.destroy()
      resolve({ status: response.statusCode ?? 0, type: '', body: '' })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/** Sends bytes and reads until the other side hangs up, or stops saying anything once it has said something. */
export function sendRaw(url: string, text: string, timeoutMs: number): Promise<string> {
  const { hostname, port, host } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname)
    const chunks: Buffer[] = []
    const said = (): string => Buffer.concat(chunks).toString('utf8')
    const late = setTimeout(() => {
      socket.destroy()
      reject(new Error(`no answer within ${timeoutMs} ms`))
    }, timeoutMs)
    const done = (): void => {
      clearTimeout(late)
      socket.destroy()
      resolve(said())
    }
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      const length = /content-length: (\d+)/i.exec(said())?.[1]
      const body = said().split('\r\n\r\n').slice(1).join('\r\n\r\n')
      if (length !== undefined && Buffer.byteLength(body) >= Number(length)) done()
    })
    socket.on('close', done)
    socket.on('error', done)
    socket.write(Buffer.from(text.replaceAll('HOST', host), 'latin1'))
  })
}

export function closeFuzz(): void {
  agent.destroy()
}
