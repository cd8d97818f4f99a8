import { createHash } from 'node:crypto'
import { EventType } from '@ag-ui/core'
import { EventSchema } from '@ag-ui/core/schemas'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { OWN_EVENTS } from '../../src/agui/own-events.ts'
import { ERRORS } from '../../src/errors.ts'
import type { OpenApiDocument, Operation } from '../../src/http/document/openapi.ts'
import { buildServer, type ServerOptions } from '../../src/http/server.ts'

const TOKEN = 'correct horse battery staple'

/** Only what the routes touch while they are registered; no handler but the document's is called. */
const options = {
  logger: pino({ enabled: false }),
  requestBodyBytesMax: 1024,
  idCharsMax: 256,
  jsonDepthMax: 128,
  urlBytesMax: 4096,
  headersMax: 100,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  requestsPerMinuteMax: 0,
  authFailuresPerMinuteMax: 0,
  subscribersMax: 10,
  token: TOKEN,
  allowedHosts: [],
  allowedOrigins: [],
  sessionId: undefined,
  metrics: () => Promise.reject(new Error('not asked')),
  platform: {},
} as unknown as ServerOptions

let app: Awaited<ReturnType<typeof buildServer>>
let document: OpenApiDocument
const headers = { host: '127.0.0.1', 'x-ambient-session-token': TOKEN }

beforeAll(async () => {
  app = await buildServer(options)
  await app.ready()
  document = (await app.inject({ url: '/openapi.json', headers })).json()
})
afterAll(() => app.close())

const operations = (): [route: string, operation: Operation][] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, Operation] => [
      `${method.toUpperCase()} ${path}`,
      operation,
    ]),
  )

/** The routes as the router prints them, a tree of path parts with the methods in brackets. */
function printedRoutes(): string[] {
  const parts: string[] = []
  return app
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap((line) => {
      const found = /^([│├└─ ]*)(.*?)(?: \(([A-Z, ]+)\))?$/.exec(line)
      if (found === null || line.trim() === '') return []
      const depth = (found[1] ?? '').length / 4
      parts.length = depth
      parts[depth] = found[2] ?? ''
      const path = parts
        .join('')
        .replace(/:(\w+)/g, '{$1}')
        .replace(/\/?\*$/, '/{path}')
      return (found[3] ?? '')
        .split(', ')
        .filter((method) => method !== '' && method !== 'HEAD')
        .map((method) => `${method} ${path}`)
    })
}

test('the document has every route of the server, and no other', () => {
  const documented = operations().map(([route]) => route)
  expect(documented.length).toBeGreaterThan(40)
  expect(documented.sort()).toEqual(printedRoutes().sort())
})

test('every route is described: a summary, its answers, and only error codes of the table', () => {
  for (const [route, operation] of operations()) {
    expect(operation.responses, route).not.toHaveProperty('default')
    expect(operation.summary, route).toMatch(/\.$/)
    expect(
      Object.keys(operation.responses).some((status) => /^(101|2\d\d)$/.test(status)),
      route,
    ).toBe(true)
    for (const [status, { content }] of Object.entries(operation.responses)) {
      if (Number(status) < 400 || status === '503') continue
      expect(content?.['application/json']?.schema, `${route} ${status}`).toEqual({
        $ref: '#/components/schemas/Error',
      })
    }
  }
  expect(JSON.stringify(document.components.schemas['Error'])).toContain(JSON.stringify(Object.keys(ERRORS)))
})

test('operation ids are distinct, every path parameter is described, and every reference leads somewhere', () => {
  const ids = operations().map(([, { operationId }]) => operationId)
  expect(new Set(ids).size).toBe(ids.length)
  for (const [route, { parameters = [] }] of operations()) {
    const named = [...route.matchAll(/\{(\w+)\}/g)].map((match) => match[1])
    const described = parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name)
    expect(described, route).toEqual(named)
  }
  for (const [, name] of JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g))
    expect(document.components.schemas).toHaveProperty(name ?? '')
  expect(JSON.stringify(document)).not.toMatch(/"\$ref":"#\/(?!components)|\$defs/)
})

test('a route says what it parses by: the query of a subscription, the body of a run', () => {
  const query = document.paths['/sessions/{threadId}/events']?.['get']?.parameters
  expect(query?.map(({ name, in: place }) => `${place} ${name}`)).toEqual([
    'path threadId',
    'query ticket',
    'query protocolVersion',
    'query after',
    'query follow',
    'query until',
    'query wait',
    'header last-event-id',
  ])
  const body = document.paths['/agui']?.['post']?.requestBody
  expect(body).toMatchObject({
    required: true,
    content: { 'application/json': { schema: { $ref: '#/components/schemas/RunAgentInput' } } },
  })
  expect(document.components.schemas['RunAgentInput']).toMatchObject({
    properties: { messages: { type: 'array' }, resume: { type: 'array' } },
    required: expect.arrayContaining(['threadId', 'runId', 'messages']),
  })
})

test.each(['/openapi.json', '/docs', '/metrics'])('%s stands behind the doors', async (url) => {
  expect((await app.inject({ url, headers: { host: '127.0.0.1' } })).statusCode).toBe(401)
  expect((await app.inject({ url, headers: { ...headers, host: 'evil.example' } })).statusCode).toBe(403)
  const elsewhere = await app.inject({ url, headers: { ...headers, origin: 'http://evil.example' } })
  expect(elsewhere.json()).toMatchObject({ error: { code: 'origin_not_allowed' } })
})

test('the page is complete in itself, and may ask nobody but the runner', async () => {
  const page = await app.inject({ url: '/docs', headers })
  expect(page.statusCode).toBe(200)
  expect(page.headers).toMatchObject({
    'content-type': 'text/html; charset=utf-8',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  })
  const policy = String(page.headers['content-security-policy'])
  expect(policy).toContain("default-src 'none'")
  expect(policy).toContain("frame-ancestors 'none'")
  expect(policy).not.toContain('unsafe')
  const rest = page.body.replace(/<script>.*<\/script>/s, '')
  expect(rest).not.toMatch(/<script|<link|<img|<iframe|\bsrc=|\bon\w+=|url\(|@import|="https?:\/\//i)
  for (const [, { operationId }] of operations()) expect(page.body).toContain(`<details id="${operationId}">`)
})

test('a browser without the token gets a page that holds nothing but a way to give it', async () => {
  const browser = { host: '127.0.0.1', accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }
  const page = await app.inject({ url: '/docs', headers: browser })
  expect(page.statusCode).toBe(200)
  expect(page.body).toContain('<main id="sign-in" hidden>')
  expect(page.body).not.toContain(TOKEN)
  expect(page.body).not.toMatch(/<details|<table|<section/)
  expect(page.headers).toMatchObject({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' })
  const policy = String(page.headers['content-security-policy'])
  expect(policy).toContain("connect-src 'self'")
  expect(policy).not.toContain('unsafe')
  // Its one script is the one that the policy names.
  const scripts = [...page.body.matchAll(/<script>(.*?)<\/script>/gs)].map((match) => match[1] ?? '')
  expect(scripts).toHaveLength(1)
  const hash = createHash('sha256')
    .update(scripts[0] ?? '')
    .digest('base64')
  expect(policy).toContain(`script-src 'sha256-${hash}'`)
  const rest = page.body.replace(scripts[0] ?? '', '')
  expect(rest).not.toMatch(/<link|<img|<iframe|\bsrc=|\bon\w+=|url\(|@import|https?:\/\//i)
  // With the token the browser gets the document, and a page of another origin neither.
  const whole = await app.inject({ url: '/docs', headers: { ...browser, authorization: `Bearer ${TOKEN}` } })
  for (const [, { operationId }] of operations()) expect(whole.body).toContain(operationId)
  expect(whole.body.match(/<script/g)).toHaveLength(1)
  for (const bad of [{ host: 'evil.example' }, { origin: 'http://evil.example' }])
    expect((await app.inject({ url: '/docs', headers: { ...browser, ...bad } })).statusCode).toBe(403)
})

test('no answer may be taken for another type than it says', async () => {
  const answers = await Promise.all([
    app.inject({ url: '/health' }),
    app.inject({ url: '/nothing-here', headers }),
    app.inject({ method: 'POST', url: '/', headers, payload: 'x' }),
  ])
  for (const answer of answers) expect(answer.headers['x-content-type-options']).toBe('nosniff')
})

const OwnSchema = z.looseObject({ examples: z.tuple([z.unknown()]) })

/** The schemas that OwnEvent refers to, in its order. */
function ownEvents(): z.infer<typeof OwnSchema>[] {
  const { schemas } = document.components
  const refs = z.array(z.object({ $ref: z.string() })).parse(schemas['OwnEvent']?.['oneOf'])
  return refs.map(({ $ref }) => OwnSchema.parse(schemas[$ref.replace('#/components/schemas/', '')]))
}

test("every event of the runner's own is described", () => {
  const names = Object.keys(OWN_EVENTS).map((name) => ({ const: `agui-runner.${name}` }))
  expect(ownEvents()).toMatchObject(names.map((name) => ({ properties: { name } })))
  // openapi-python-client 0.29.1 left each of them out while they were written within OwnEvent.
  expect(document.components.schemas).toHaveProperty('ApiRetryEvent')
})

test('every event has an example that fits its schema, and so has every stream', () => {
  const { Event } = document.components.schemas
  const examples = z.array(z.looseObject({ type: z.string() })).parse(Event?.['examples'])
  for (const example of examples)
    expect([example.type, EventSchema.safeParse(example).error]).toEqual([example.type, undefined])
  // What the runner has no use for, and CUSTOM, which has its own schema.
  const unsent = /_CHUNK$|^(STEP|ACTIVITY)_|^(RAW|CUSTOM|STATE_DELTA)$/
  expect(examples.map(({ type }) => type).sort()).toEqual(
    Object.values(EventType)
      .filter((type) => !unsent.test(type))
      .sort(),
  )
  for (const {
    examples: [example],
    ...schema
  } of ownEvents()) {
    expect(z.fromJSONSchema(schema).safeParse(example).error).toBeUndefined()
  }
  for (const [route, { responses }] of operations()) {
    const stream = responses['200']?.content?.['text/event-stream']
    if (stream !== undefined)
      expect([route, stream.example]).toEqual([route, expect.stringMatching(/^id: 1\ndata: /)])
  }
})

test('every JSON body has an example, which the route itself would take', () => {
  const bodies = operations().flatMap(([route, { requestBody }]) => {
    const json = requestBody?.content['application/json']
    return json === undefined ? [] : [[route, json] as const]
  })
  expect(bodies.length).toBeGreaterThan(10)
  for (const [route, { schema, example }] of bodies) {
    const named =
      String(schema['$ref'] ?? '')
        .split('/')
        .at(-1) ?? ''
    const parsed = z.fromJSONSchema(document.components.schemas[named] ?? schema).safeParse(example)
    expect([route, example === undefined, parsed.error?.issues]).toEqual([route, false, undefined])
  }
})

test('every tag that is used is described, and the server is the one that the document came from', () => {
  const used = new Set(operations().flatMap(([, { tags }]) => tags))
  expect([...used].sort()).toEqual(document.tags.map(({ name }) => name).sort())
  expect(new URL(document.servers[0]?.url ?? '', 'http://a.example/behind/openapi.json').href).toBe(
    'http://a.example/behind/',
  )
})
