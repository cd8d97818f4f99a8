import type { z } from 'zod'
import { isObject } from './json.ts'

/**
 * Parses as `schema.safeParse`, but a null counts as absent where the schema does not require a value. Serializers of
 * other languages write null for an absent member. A null that the schema accepts stays, and a null in place of a
 * required value is still refused.
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

/** Returns the path if it leads to a null member of an object. Removing a null from a list would shift its items. */
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
