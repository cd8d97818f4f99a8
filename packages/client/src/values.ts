type Json = Readonly<Record<string, unknown>>

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The value when it is an object, else an empty object. */
export function toObject(value: unknown): Json {
  return isObject(value) ? value : {}
}

export function toText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
