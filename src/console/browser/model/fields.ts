// The page reads what the server sends member by member. A member that is not as expected counts as absent, so an event
// of a newer runner is shown as far as it is understood.

import { isObject } from '../../../json.ts'

export { isObject }

export type Json = Readonly<Record<string, unknown>>

/** The value when it is an object, else an empty object. */
export function toObject(value: unknown): Json {
  return isObject(value) ? value : {}
}

export function toList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

export function toText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

export function toNumber(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

/** The runner's own part of an event's metadata (docs/events.md). */
export function ownMetadata(event: Json): Json {
  return toObject(toObject(event['metadata'])['agui-runner'])
}
