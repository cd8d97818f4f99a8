// What is wrong with the payload of an answer, in words that name the place.
import type { z } from 'zod'
import { isObject } from '../../json.ts'

export function problemsOf({ issues }: z.ZodError, place: string): string[] {
  return issues.map(({ path, message }) => `${[place, ...path.map(String)].join('.')}: ${message}`)
}

/** Returns the members of a payload that its schema does not have. A null says nothing. */
export function unknownMembers({ shape }: z.ZodObject, payload: unknown): string[] {
  const names = Object.keys(shape)
  return Object.entries(isObject(payload) ? payload : {}).flatMap(([name, value]) =>
    value === null || names.includes(name) ? [] : [`payload.${name}: it has only ${names.join(', ')}`],
  )
}
