import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { OWN_EVENTS } from '../../agui/own-events.ts'
import { ERRORS, type ErrorCode } from '../../errors.ts'
import { isObject } from '../../json.ts'
import { PACKAGE_DIRECTORY } from '../../package-directory.ts'
import type { NamedSchema, RouteAnswer, RouteFacts } from './about.ts'
import { AGUI_EXAMPLES, OWN_EXAMPLES } from './event-examples.ts'

/** One route as Fastify registered it. */
export interface DocumentedRoute {
  method: string
  /** Fastify's pattern: `/sessions/:threadId`, `/files/*`. */
  url: string
  /** Returns undefined for a route without a description. The document lists such a route all the same. */
  facts(): RouteFacts | undefined
}

type Json = Record<string, unknown>

export interface Operation {
  operationId: string
  tags: string[]
  summary: string
  description?: string
  parameters?: Parameter[]
  requestBody?: { required: boolean; content: Record<string, { schema: Json; example?: unknown }> }
  responses: Record<string, DocumentedResponse>
  security?: Json[]
}

export interface Parameter {
  name: string
  in: 'path' | 'query' | 'header'
  required: boolean
  description?: string
  schema: Json
}

export interface DocumentedResponse {
  description: string
  content?: Record<string, { schema: Json; example?: string }>
}

export interface OpenApiDocument {
  openapi: '3.1.0'
  info: {
    title: string
    version: string
    description: string
    contact: { name: string }
    license: { name: string; identifier: string }
  }
  servers: { url: string; description: string }[]
  tags: { name: string; description: string }[]
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Json>; securitySchemes: Record<string, Json> }
  security: Json[]
}

const DESCRIPTION =
  'A coding agent in its sandbox, as an AG-UI 1.0 agent. Before a stream starts, every failure is answered as Error; afterwards ' +
  'the same code is in RUN_ERROR. Requests need the token of AGUI_TOKEN when one is set, a Host of this runner, and ' +
  'no Origin but its own or a listed one.'

const SSE = 'text/event-stream'
const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` })

/** The body of an event stream: SSE frames, each with the seq of its record as `id`. */
const STREAM = {
  schema: {
    type: 'string',
    contentMediaType: SSE,
    contentSchema: { anyOf: [ref('Event'), ref('OwnEvent')] },
  },
  example: AGUI_EXAMPLES.filter(({ type }) => /^(RUN_STARTED|TEXT_|RUN_FINISHED)/.test(type))
    .map((event, index) => `id: ${index + 1}\ndata: ${JSON.stringify(event)}\n\n`)
    .join(''),
}

/** The errors that a route can answer with in addition to its own, by how open the route is. */
const BY_DOORS: Record<NonNullable<RouteFacts['isOpen']> | 'closed', readonly ErrorCode[]> = {
  'to-all': [],
  'as-page': ['host_not_allowed', 'origin_not_allowed', 'rate_limited'],
  closed: ['unauthorized', 'host_not_allowed', 'origin_not_allowed', 'rate_limited'],
}

const TAGS: readonly { name: RouteFacts['tag']; description: string }[] = [
  { name: 'runs', description: 'Starting runs, and reading their events.' },
  { name: 'threads', description: 'What threads there are, and what is said into them.' },
  { name: 'workspace', description: 'Files and repositories that the agent works on.' },
  { name: 'platform', description: 'What the control plane of the platform asks for.' },
  { name: 'server', description: 'Health, readiness, metrics and this document.' },
]

/** Returns the routes as an OpenAPI 3.1 document. */
export function toDocument(routes: readonly DocumentedRoute[]): OpenApiDocument {
  const schemas: Record<string, Json> = {
    Error: errorSchema(),
    Event: eventSchema(),
    ...ownEventSchemas(),
  }
  const paths: Record<string, Record<string, Operation>> = {}
  for (const route of routes) {
    const path = toPath(route.url)
    paths[path] ??= {}
    paths[path][route.method.toLowerCase()] = toOperation(route, schemas)
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'agui-runner',
      version: readVersion(),
      description: DESCRIPTION,
      contact: { name: 'agui-runner' },
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [
      { url: '.', description: 'This runner: the document lies at its root, also behind a path of a proxy.' },
    ],
    tags: [...TAGS],
    paths,
    components: {
      schemas,
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        sessionToken: { type: 'apiKey', in: 'header', name: 'X-Ambient-Session-Token' },
      },
    },
    security: [{ bearer: [] }, { sessionToken: [] }, {}],
  }
}

/** The parameter that stands for `*` in `/files/*`. OpenAPI has no such pattern. */
const REST = 'path'

function toPath(url: string): string {
  return url.replace(/:(\w+)/g, '{$1}').replace(/\*$/, `{${REST}}`)
}

function toOperation(route: DocumentedRoute, schemas: Record<string, Json>): Operation {
  const { method, url } = route
  const facts = route.facts()
  const operationId = `${method.toLowerCase()}${url
    .replace(/\*$/, REST)
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('')}`
  if (facts === undefined) {
    const parameters = pathParameters(url, undefined)
    const responses = { default: { description: 'Not described.' } }
    return { operationId, tags: ['server'], summary: `${method} ${url}`, parameters, responses }
  }
  const parameters = [
    ...pathParameters(url, facts.params),
    ...toParameters(facts.query, 'query'),
    ...toParameters(facts.headers, 'header'),
  ]
  return {
    operationId,
    tags: [facts.tag],
    summary: facts.summary,
    description: facts.details ?? facts.summary,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(facts.body === undefined ? {} : { requestBody: toRequestBody(facts.body, facts.example, schemas) }),
    responses: toResponses(facts, schemas),
    ...(facts.isOpen === undefined ? {} : { security: [] }),
  }
}

function pathParameters(url: string, params: z.ZodType | undefined): Parameter[] {
  const described = toParameters(params, 'path')
  const names = [...url.matchAll(/:(\w+)|\*$/g)].map((match) => match[1] ?? '*')
  return names.map((name) => {
    const schema = described.find((parameter) => parameter.name === name)?.schema ?? { type: 'string' }
    if (name !== '*') return { name, in: 'path', required: true, schema }
    const description = 'May hold slashes: what the path of the file is within the workspace.'
    return { name: REST, in: 'path', required: true, description, schema }
  })
}

/** Returns the fields of an object's schema as parameters. The schema may also allow null. */
function toParameters(schema: z.ZodType | undefined, place: Parameter['in']): Parameter[] {
  if (schema === undefined) return []
  const json = toSchema(schema)
  const options = Array.isArray(json['anyOf']) ? json['anyOf'] : [json]
  const object = options.find((option) => isObject(option) && isObject(option['properties']))
  if (!isObject(object) || !isObject(object['properties'])) return []
  const required = Array.isArray(object['required']) ? object['required'] : []
  return Object.entries(object['properties']).map(([name, field]) => {
    const { description, ...rest } = isObject(field) ? field : {}
    return {
      name,
      in: place,
      // A field with a default is optional in the input, although the parsed output always has it.
      required: required.includes(name),
      ...(typeof description === 'string' ? { description } : {}),
      schema: rest,
    }
  })
}

function toRequestBody(
  body: NonNullable<RouteFacts['body']>,
  example: unknown,
  schemas: Record<string, Json>,
): NonNullable<Operation['requestBody']> {
  if (body === 'bytes') return { required: false, content: { 'application/octet-stream': { schema: {} } } }
  const schema = 'name' in body ? body.schema : body
  const required = !schema.safeParse(undefined).success
  const shown = example === undefined ? {} : { example }
  return { required, content: { 'application/json': { schema: toReference(body, schemas), ...shown } } }
}

function toResponses(facts: RouteFacts, schemas: Record<string, Json>): Operation['responses'] {
  const responses: Operation['responses'] = {}
  for (const [status, answer] of Object.entries(facts.answers))
    responses[status] = toResponse(answer, schemas)
  const hasBody = facts.body !== undefined
  const codes = new Set<ErrorCode>([
    ...(facts.errors ?? []),
    ...BY_DOORS[facts.isOpen ?? 'closed'],
    ...(hasBody ? (['too_large', 'unsupported_media_type'] as const) : []),
    'invalid_input',
    'url_too_long',
    'headers_too_large',
    'internal',
  ])
  for (const status of new Set([...codes].map((code) => ERRORS[code].status))) {
    if (responses[status] !== undefined) continue
    const of = [...codes].filter((code) => ERRORS[code].status === status)
    const schema = ref('Error')
    responses[status] = { description: of.join(', '), content: { 'application/json': { schema } } }
  }
  return responses
}

function toResponse(
  { says, json, media = [] }: RouteAnswer,
  schemas: Record<string, Json>,
): DocumentedResponse {
  const content: Record<string, { schema: Json; example?: string }> = {}
  if (json !== undefined) content['application/json'] = { schema: toReference(json, schemas, 'output') }
  for (const type of media) content[type] = type === SSE ? STREAM : { schema: { type: 'string' } }
  return { description: says, ...(Object.keys(content).length === 0 ? {} : { content }) }
}

function toReference(
  schema: z.ZodType | NamedSchema,
  schemas: Record<string, Json>,
  io: 'input' | 'output' = 'input',
): Json {
  if (!('name' in schema)) return toSchema(schema, io)
  schemas[schema.name] ??= toSchema(schema.schema, io)
  return ref(schema.name)
}

/** Returns the JSON Schema of a zod schema. OpenAPI 3.1 takes JSON Schema 2020-12 unchanged. */
function toSchema(schema: z.ZodType, io: 'input' | 'output' = 'input'): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    cycles: 'throw',
    // References within the schema would be invalid once the schema is embedded in the document.
    reused: 'inline',
  })
  return rest
}

function errorSchema(): Json {
  return toSchema(
    z.object({
      error: z.object({
        code: z.string().meta({ enum: Object.keys(ERRORS) }),
        message: z.string().describe('What was wrong, where, and what to do.'),
        details: z.unknown().optional().describe('Facts for machines; which ones depends on the code.'),
      }),
    }),
  )
}

/** Returns the schema of AG-UI's events, by examples: AG-UI itself specifies their fields. */
function eventSchema(): Json {
  return {
    description: 'An event of AG-UI 1.0 as the runner sends it; `CUSTOM` is OwnEvent.',
    type: 'object',
    required: ['type'],
    properties: { type: { enum: [...AGUI_EXAMPLES.map(({ type }) => type), 'CUSTOM'] } },
    examples: [...AGUI_EXAMPLES],
  }
}

/** Returns the schemas of the runner's own events, each under a name of its own: generators of clients make classes of them. */
function ownEventSchemas(): Record<string, Json> {
  const values = new Map<string, object>(Object.entries(OWN_EXAMPLES))
  const own = Object.entries(OWN_EVENTS).map(([event, value]): [string, Json] => {
    const [type, name] = ['CUSTOM', `agui-runner.${event}`]
    const schema = toSchema(z.object({ type: z.literal(type), name: z.literal(name), value }))
    const words = event.split('_').map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    return [`${words.join('')}Event`, { ...schema, examples: [{ type, name, value: values.get(event) }] }]
  })
  const oneOf = own.map(([name]) => ref(name))
  return {
    OwnEvent: { description: 'A CUSTOM event of the runner (docs/events.md).', oneOf },
    ...Object.fromEntries(own),
  }
}

function readVersion(): string {
  const file = join(PACKAGE_DIRECTORY, 'package.json')
  return z.object({ version: z.string() }).parse(JSON.parse(readFileSync(file, 'utf8'))).version
}
