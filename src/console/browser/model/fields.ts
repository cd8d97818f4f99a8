// What comes from the server is looked at member by member: a field that is not as expected is as one that is absent,
// so that an event of a newer runner shows as far as it is understood.

export type Json = Readonly<Record<string, unknown>>

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The object, or one without members. */
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
