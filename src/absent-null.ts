import type { z } from 'zod'

/**
 * As `schema.safeParse`, but a null where nothing need be is nothing: serializers of other languages write one for what is
 * absent. A null that the schema takes stays, and what it needs stays refused.
 */
export function parseNulls<T extends z.ZodType>(
  schema: T,
  value: unknown,
): z.ZodSafeParseResult<z.output<T>> {
  const result = schema.safeParse(value)
  if (result.success) return result
  const nulls = placesOf(result.error.issues).flatMap((path) => nullAt(value, path))
  return nulls.length === 0 ? result : schema.safeParse(without(value, nulls))
}

type Path = readonly PropertyKey[]

function placesOf(issues: readonly z.core.$ZodIssue[], at: Path = []): Path[] {
  return issues.flatMap((issue) => {
    const path = [...at, ...issue.path]
    const inner = issue.code === 'invalid_union' ? issue.errors.flatMap((each) => placesOf(each, path)) : []
    return [path, ...inner]
  })
}

/** The path, when a member of an object is null there: a list would lose its order. */
function nullAt(value: unknown, path: Path): Path[] {
  const holder = holderAt(value, path)
  const name = path.at(-1)
  return name !== undefined && isObject(holder) && Reflect.get(holder, name) === null ? [path] : []
}

function without(value: unknown, paths: readonly Path[]): unknown {
  const copy: unknown = structuredClone(value)
  for (const path of paths) {
    const holder = holderAt(copy, path)
    if (isObject(holder)) Reflect.deleteProperty(holder, path.at(-1) ?? '')
  }
  return copy
}

function holderAt(value: unknown, path: Path): unknown {
  return path
    .slice(0, -1)
    .reduce(
      (inner, key) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined),
      value,
    )
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
