import { isObject } from '../../json.ts'

type Schema = Record<string, unknown>
export type ObjectSchema = Schema & { type: 'object' }

const NO_PARAMETERS: ObjectSchema = { type: 'object', properties: {} }
const UNIONS = ['oneOf', 'anyOf'] as const
const COMBINATORS = [...UNIONS, 'allOf'] as const
/** Form of an argument's name that the model's API accepts. */
const ARGUMENT = /^[A-Za-z0-9_.-]{1,64}$/
/** Keys that stay at the root when the rest goes behind a reference, because pointers lead through the root. */
const ROOT_KEYS = ['$schema', '$id', '$defs', 'definitions', 'title', 'description']
/** Most branches and references that are examined. A schema written by a person has far fewer. */
const SCHEMAS_MAX = 1000
const DEFINITION = 'tool_arguments'

/**
 * Returns the JSON Schema of a tool's arguments as the model's API accepts it: with `type: "object"` at its root.
 * Returns the problem as a string when the schema admits no object.
 *
 * Claude Code 2.1.332 sends a reference at the root unchanged. It merges the branches of `oneOf`, `anyOf` and `allOf`
 * into one object, because the API refuses them there, and drops a branch that has branches itself. A schema with such
 * a branch goes behind a reference, where it stays whole.
 */
export function toInputSchema(parameters: unknown): ObjectSchema | string {
  if (parameters === undefined || parameters === null) return NO_PARAMETERS
  if (parameters === true) return { type: 'object' }
  if (!isObject(parameters)) return 'they are no JSON Schema'
  if (!admitsObject(parameters, parameters))
    return 'they admit no JSON object, which the arguments of a tool always are'
  const wrong = Object.keys(toRecord(parameters['properties'])).find((key) => !ARGUMENT.test(key))
  if (wrong !== undefined) return `"${wrong}" cannot be the name of an argument`
  const unions = UNIONS.flatMap((key) => {
    const branches = parameters[key]
    return Array.isArray(branches)
      ? [[key, branches.filter((branch: unknown) => admitsObject(branch, parameters))] as const]
      : []
  })
  const schema: ObjectSchema = { ...parameters, ...Object.fromEntries(unions), type: 'object' }
  const branches = branchesOf(schema).map((branch) => resolve(branch, parameters))
  return branches.some((branch) => branchesOf(branch).length > 0) ? behindReference(schema) : schema
}

function behindReference(schema: ObjectSchema): ObjectSchema {
  const isRoot = ([key]: [string, unknown]): boolean => ROOT_KEYS.includes(key)
  const entries = Object.entries(schema)
  const definition = Object.fromEntries(entries.filter((entry) => !isRoot(entry)))
  return {
    type: 'object',
    $ref: `#/$defs/${DEFINITION}`,
    ...Object.fromEntries(entries.filter(isRoot)),
    $defs: { ...toRecord(schema['$defs']), [DEFINITION]: definition },
  }
}

/**
 * Whether an object can fit the schema. `known` keeps the work in proportion to the schema and ends a circle of
 * references, which nothing fits.
 */
function admitsObject(schema: unknown, root: Schema, known = new Map<unknown, boolean>()): boolean {
  if (typeof schema === 'boolean') return schema
  if (!isObject(schema) || known.size > SCHEMAS_MAX) return false
  const before = known.get(schema)
  if (before !== undefined) return before
  known.set(schema, false)
  const admits = mayBeObject(schema, root, known)
  known.set(schema, admits)
  return admits
}

function mayBeObject(schema: Schema, root: Schema, known: Map<unknown, boolean>): boolean {
  const { type, $ref } = schema
  if (type !== undefined && ![type].flat().includes('object')) return false
  if ('const' in schema && !isObject(schema['const'])) return false
  const values = schema['enum']
  if (Array.isArray(values) && !values.some(isObject)) return false
  const admits = (branch: unknown): boolean => admitsObject(branch, root, known)
  if ($ref !== undefined && !admits(lookUp($ref, root))) return false
  if (UNIONS.some((key) => Array.isArray(schema[key]) && !listOf(schema[key]).some(admits))) return false
  return listOf(schema['allOf']).every(admits)
}

/** Returns the target of a reference within the document. Undefined for any other reference. */
function lookUp(reference: unknown, root: Schema): unknown {
  if (typeof reference !== 'string' || !/^#(?:\/|$)/.test(reference)) return undefined
  const keys = reference.split('/').slice(1)
  return keys.reduce<unknown>((value, key) => {
    const name = key.replaceAll('~1', '/').replaceAll('~0', '~')
    return isObject(value) && Object.hasOwn(value, name) ? value[name] : listOf(value)[Number(name)]
  }, root)
}

function resolve(schema: unknown, root: Schema, hops = 0): unknown {
  const reference = isObject(schema) ? schema['$ref'] : undefined
  return reference === undefined || hops > COMBINATORS.length
    ? schema
    : resolve(lookUp(reference, root), root, hops + 1)
}

function branchesOf(schema: unknown): unknown[] {
  return isObject(schema) ? COMBINATORS.flatMap((key) => listOf(schema[key])) : []
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])
const toRecord = (value: unknown): Schema => (isObject(value) ? value : {})
