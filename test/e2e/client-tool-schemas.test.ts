// Every form of a schema that a client's tool may have, as the model's side sees it: the request at the gateway.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { post, run, runInput } from '../support/client.ts'
import { type Bench, type OpenRunner, openBench } from '../support/runner.ts'

const cat = {
  type: 'object',
  properties: { kind: { const: 'cat' }, lives: { type: 'number' } },
  required: ['kind'],
}
const dog = { type: 'object', properties: { kind: { const: 'dog' } }, required: ['kind'] }
const fish = { type: 'object', properties: { kind: { const: 'fish' } }, required: ['kind'] }
const node = { type: 'object', properties: { next: { $ref: '#/$defs/node' } } }
/** What Claude Code makes of a cat or a dog: the API takes no union at the root. */
const catOrDog = {
  type: 'object',
  properties: { kind: { anyOf: [{ const: 'cat' }, { const: 'dog' }] }, lives: { type: 'number' } },
  required: ['kind'],
}
const branches = [{ $ref: '#/$defs/cat' }, { $ref: '#/$defs/dog' }]

const animal = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('cat'), lives: z.number() }),
  z.object({ kind: z.literal('dog') }),
])
type Tree = { name: string; under: Tree[] }
const tree: z.ZodType<Tree> = z
  .object({ name: z.string(), under: z.array(z.lazy(() => tree)) })
  .meta({ id: 'tree' })

const FORMS: Record<string, [parameters: unknown, shown: unknown]> = {
  object: [cat, cat],
  absent: [undefined, { type: 'object', properties: {} }],
  empty: [{}, { type: 'object' }],
  no_type: [{ properties: cat.properties }, { type: 'object', properties: cat.properties }],
  type_list: [{ ...cat, type: ['object', 'null'] }, cat],
  one_of: [{ oneOf: [cat, dog] }, catOrDog],
  any_of: [{ anyOf: [cat, dog] }, catOrDog],
  any_of_references: [{ anyOf: branches, $defs: { cat, dog } }, catOrDog],
  nullable: [{ anyOf: [cat, { type: 'null' }] }, cat],
  all_of: [
    { allOf: [cat, { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] }] },
    {
      type: 'object',
      properties: { ...cat.properties, name: { type: 'string' } },
      required: ['kind', 'name'],
    },
  ],
  beside: [
    { properties: { name: { type: 'string' } }, oneOf: [cat, dog] },
    { type: 'object', properties: { name: { type: 'string' }, ...catOrDog.properties } },
  ],
  reference: [
    { $ref: '#/$defs/node', $defs: { node } },
    { type: 'object', $ref: '#/$defs/node', $defs: { node } },
  ],
  old_reference: [
    { $ref: '#/definitions/cat', definitions: { cat } },
    { type: 'object', $ref: '#/definitions/cat', definitions: { cat } },
  ],
  reference_to_union: [
    { $ref: '#/$defs/pet', $defs: { pet: { oneOf: branches }, cat, dog } },
    { type: 'object', $ref: '#/$defs/pet', $defs: { pet: { oneOf: branches }, cat, dog } },
  ],
  union_in_union: [
    { oneOf: [{ oneOf: [cat, dog] }, fish] },
    { $ref: '#/$defs/tool_arguments', $defs: { tool_arguments: { oneOf: [{ oneOf: [cat, dog] }, fish] } } },
  ],
  union_in_all_of: [
    { type: 'object', allOf: [{ $ref: '#/$defs/pet' }, fish], $defs: { pet: { oneOf: [cat, dog] } } },
    {
      $ref: '#/$defs/tool_arguments',
      $defs: { pet: { oneOf: [cat, dog] }, tool_arguments: { allOf: [{ $ref: '#/$defs/pet' }, fish] } },
    },
  ],
  zod_union: [
    z.toJSONSchema(animal),
    {
      type: 'object',
      properties: { kind: { anyOf: [{ const: 'cat' }, { const: 'dog' }] }, lives: { type: 'number' } },
    },
  ],
  zod_recursive: [
    z.toJSONSchema(tree),
    { type: 'object', $ref: '#/$defs/tree', $defs: { tree: { properties: { under: { type: 'array' } } } } },
  ],
}

const REFUSED: Record<string, unknown> = {
  text: { type: 'string' },
  list: { type: 'array', items: cat },
  lists: { type: ['string', 'null'] },
  never: false,
  not_a_schema: 'object',
  union_of_texts: { anyOf: [{ type: 'string' }, { const: 'x' }] },
  all_of_text: { allOf: [cat, { type: 'string' }] },
  dangling: { $ref: '#/$defs/nowhere' },
  elsewhere: { $ref: 'https://example.com/schema.json' },
  circle: { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } } },
  itself: { $ref: '#' },
  broken_reference: { $ref: '#/%zz/~9' },
  doubled: {
    $ref: '#/$defs/d0',
    $defs: Object.fromEntries(
      Array.from({ length: 60 }, (_, at) => [
        `d${at}`,
        { oneOf: [{ $ref: `#/$defs/d${at + 1}` }, { $ref: `#/$defs/d${at + 1}` }] },
      ]),
    ),
  },
  bad_argument: { type: 'object', properties: { 'two words': {} } },
}

const toTool = ([name, parameters]: [string, unknown]) => ({ name, description: name, parameters })

let bench: Bench
let runner: OpenRunner
let shown: Map<string, unknown>
const Tools = z.object({ tools: z.array(z.object({ name: z.string(), input_schema: z.unknown() })) })

beforeAll(async () => {
  bench = await openBench({ script: { rules: [{ reply: 'hello' }] } })
  runner = await bench.open()
  const tools = Object.entries(FORMS).map(([name, [parameters]]) => toTool([name, parameters]))
  const all = await run(runner.url, { ...runInput('t', 'hello'), tools })
  expect(all.at(-1)?.['outcome']).toEqual({ type: 'success' })
  const request = bench.gateway.requests.filter(({ route }) => route === 'inference').at(-1)
  shown = new Map(
    Tools.parse(request?.body).tools.map(({ name, input_schema }) => [
      name.replace(/^mcp__ui_\w+?__/, ''),
      input_schema,
    ]),
  )
})
afterAll(() => bench.close())

test.each(Object.keys(FORMS))('a schema of the form %s reaches the model', (name) => {
  expect(shown.get(name)).toMatchObject({ type: 'object' })
  expect(shown.get(name)).toMatchObject(Object(FORMS[name]?.[1]))
})

test.each(Object.entries(REFUSED))(
  'parameters like %s are refused with the name of the tool',
  async (name, parameters) => {
    const answer = await post(runner.url, { ...runInput('r', 'hello'), tools: [toTool([name, parameters])] })
    expect({ status: answer.status, text: await answer.text() }).toEqual({
      status: 400,
      text: expect.stringContaining(`parameters of \\"${name}\\"`),
    })
  },
)

test('two tools of one name are refused', async () => {
  const tools = [toTool(['twice', cat]), toTool(['twice', dog])]
  const answer = await post(runner.url, { ...runInput('r', 'hello'), tools })
  expect({ status: answer.status, text: await answer.text() }).toMatchObject({ status: 400 })
})
