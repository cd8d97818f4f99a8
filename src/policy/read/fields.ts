// Readers of single values of a policy file: strings, lists, maps, matchers.
import { Scalar } from 'yaml'
import { z } from 'zod'
import { isEmptyPlain, type YamlTree } from './document.ts'
import { booleanOf, integerOf, scalarKind, scalarText } from './scalar.ts'

/**
 * `typed`: the gateway's loader (image policy, control plane), which refuses unknown keys and wrong types.
 * `file`: `--policy-data`, which ignores both (openshell.md 1.0).
 */
export type PolicyMode = 'typed' | 'file'

/** The alternative globs of one query, tool or params matcher. An empty list is refused where OpenShell reads it. */
export type GlobList = readonly string[]

export type FieldSchema<T> = z.ZodType<T, unknown>

/** Makes a schema from `read`, which returns undefined for a value that it does not accept. */
function leaf<T>(expected: string, read: (tree: YamlTree) => T | undefined): FieldSchema<T> {
  return z.unknown().transform((input, context): T => {
    const value = input === undefined ? undefined : read(input as YamlTree)
    if (value !== undefined) return value
    context.addIssue({ code: 'custom', message: input === undefined ? 'is required' : `must be ${expected}` })
    return z.NEVER
  })
}

const scalar = <T>(expected: string, read: (node: Scalar) => T | undefined): FieldSchema<T> =>
  leaf(expected, (tree) => (tree instanceof Scalar ? read(tree) : undefined))

const isText = (node: Scalar): boolean => scalarKind(node) === 'text'

// serde takes any plain scalar for a string (`run_as_user: 1000`); the untyped loader takes only real strings.
const anyText = scalar('a string', scalarText)
const realText = scalar('a string', (node) => (isText(node) ? scalarText(node) : undefined))

export const boolean = scalar('true or false', booleanOf)

export const integer = (min: number, max: number): FieldSchema<number> =>
  scalar(`an integer from ${min} to ${max}`, (node) => {
    const value = integerOf(node, { isSigned: min < 0 })
    return value !== undefined && value >= min && value <= max ? value : undefined
  })

/** Reads `key:` with nothing after it as an empty list or map. Any other scalar is of the wrong kind. */
const collection = (tree: unknown, empty: unknown): unknown => {
  if (!(tree instanceof Scalar)) return tree
  return isEmptyPlain(tree) ? empty : scalarText(tree)
}

export const list = <T>(item: FieldSchema<T>): FieldSchema<T[]> =>
  z.preprocess((tree) => collection(tree, []), z.array(item, 'must be a list'))

export const map = <T>(value: FieldSchema<T>): FieldSchema<Record<string, T>> =>
  z.preprocess((tree) => collection(tree, {}), z.record(z.string(), value, 'must be a map'))

/** Accepts an absent or null section as undefined. */
export const optional = <T>(section: FieldSchema<T>): FieldSchema<T | undefined> =>
  z.preprocess(
    (tree) => (tree instanceof Scalar && scalarKind(tree) === 'null' ? undefined : tree),
    section.optional(),
  )

function readGlobs(tree: YamlTree, mode: PolicyMode): GlobList | undefined {
  if (tree instanceof Scalar)
    return isText(tree) ? [scalarText(tree)].filter((glob) => glob !== '' || mode === 'file') : undefined
  if (Array.isArray(tree)) return undefined
  const { any, glob, ...others } = tree
  if (Object.keys(others).length > 0 || (any !== undefined && glob !== undefined)) return undefined
  if (glob !== undefined) return mode === 'file' ? readGlobs(glob, mode) : undefined
  if (any === undefined) return []
  if (!Array.isArray(any)) return undefined
  const globs = any.map((item) => (item instanceof Scalar && isText(item) ? scalarText(item) : undefined))
  return globs.includes(undefined) ? undefined : globs.filter((text) => text !== undefined)
}

/** Reads MCP params. They may be nested; OpenShell flattens them to dotted names. */
function readParams(tree: YamlTree, mode: PolicyMode): Record<string, GlobList> | undefined {
  if (tree instanceof Scalar || Array.isArray(tree)) return undefined
  const flat: Record<string, GlobList> = {}
  for (const [name, child] of Object.entries(tree)) {
    const globs = readGlobs(child, mode)
    const nested = globs === undefined ? readParams(child, mode) : undefined
    if (globs === undefined && nested === undefined) return undefined
    if (globs !== undefined) flat[name] = globs
    for (const [inner, value] of Object.entries(nested ?? {})) flat[`${name}.${inner}`] = value
  }
  return flat
}

export const absent = <T>(schema: FieldSchema<T>, fallback: T): FieldSchema<T> =>
  schema.optional().transform((value) => value ?? fallback)

/** Reads a map with known keys. Other keys are refused when `isStrict`, else ignored. */
export const section = <Shape extends z.core.$ZodLooseShape>(shape: Shape, isStrict: boolean) => {
  const error = (issue: { code?: string | undefined; input?: unknown }): string => {
    if (issue.code === 'unrecognized_keys') return `known here: ${Object.keys(shape).join(', ')}`
    return issue.input === undefined ? 'is required' : 'must be a map'
  }
  return z.preprocess(
    (tree) => collection(tree, {}),
    isStrict ? z.strictObject(shape, { error }) : z.object(shape, { error }),
  )
}

/** Returns the readers that differ by mode. */
export function modeReaders(mode: PolicyMode) {
  const isTyped = mode === 'typed'
  return {
    isTyped,
    text: isTyped ? anyText : realText,
    globs: leaf('a glob string or {any: [globs]}', (tree) => readGlobs(tree, mode)),
    params: leaf('a map of matchers', (tree) => readParams(tree, mode)),
    /** Uses the default where a scalar is absent, and in file mode also where its type is wrong. */
    or: <T>(schema: FieldSchema<T>, fallback: T): FieldSchema<T> =>
      isTyped ? absent(schema, fallback) : schema.catch(fallback),
    /** Reads a list of scalars. File mode drops scalars of the wrong type. */
    listOf: <T>(item: FieldSchema<T>): FieldSchema<T[]> => {
      const readable = (tree: unknown): unknown =>
        Array.isArray(tree) ? tree.filter((element) => item.safeParse(element).success) : tree
      return absent(isTyped ? list(item) : z.preprocess(readable, list(item)), [])
    },
  }
}
