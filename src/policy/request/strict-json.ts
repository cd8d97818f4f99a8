// Accepts only JSON that every parser reads alike. Parsers differ in which of two equal keys counts, whether `Method`
// is `method`, and how deep is too deep. A body that is judged here is read by the server's own parser.

/** The depth limit of serde_json, with which OpenShell reads bodies. */
const DEPTH_MAX = 127

/** The error for a body or message that cannot be judged. Its message quotes nothing of the body. */
export class UnreadableError extends Error {
  override readonly name = 'UnreadableError'
}

export type JsonObject = Readonly<Record<string, unknown>>

/** Parses JSON. Throws UnreadableError for invalid UTF-8 or JSON, deep nesting, a repeated key or a lone surrogate. */
export function parseStrictJson(bytes: Uint8Array): unknown {
  const text = decodeUtf8(bytes)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new UnreadableError('it is not valid JSON')
  }
  refuseAmbiguity(text)
  return value
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Returns a member; undefined when there is none. An inherited member does not count. */
export function member(object: JsonObject, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined
}

/**
 * Throws UnreadableError when a key differs from one of `names` in case only. Some parsers (Go's, with which much of
 * JSON-RPC and MCP is served) take it for that name, Unicode case folding included.
 */
export function refuseLookAlikes(keys: Iterable<string>, names: readonly string[]): void {
  const folded = new Set(names.map(fold))
  for (const key of keys) {
    if (!names.includes(key) && folded.has(fold(key))) {
      throw new UnreadableError('a key differs from a known one in case only')
    }
  }
}

/** Folds case. Upper case comes first: U+017F has no lower case of its own, and its upper case is S. */
function fold(text: string): string {
  return text.toUpperCase().toLowerCase()
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new UnreadableError('it is not valid UTF-8')
  }
}

/** Throws for a repeated key, a lone surrogate or deep nesting. `text` is valid JSON, so every string in it ends. */
function refuseAmbiguity(text: string): void {
  /** The keys of each open object, and undefined for each open array. */
  const open: (Set<string> | undefined)[] = []
  let isKeyNext = false
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at]
    if (char === '{' || char === '[') {
      open.push(char === '{' ? new Set() : undefined)
      if (open.length > DEPTH_MAX) throw new UnreadableError(`it is nested deeper than ${DEPTH_MAX} levels`)
      isKeyNext = char === '{'
    } else if (char === '}' || char === ']') {
      open.pop()
      isKeyNext = false
    } else if (char === ',') {
      isKeyNext = open.at(-1) !== undefined
    } else if (char === '"') {
      const end = stringEnd(text, at)
      const string = unescaped(text.slice(at, end))
      if (isKeyNext) refuseSecond(open.at(-1), string)
      isKeyNext = false
      at = end - 1
    }
  }
}

function refuseSecond(keys: Set<string> | undefined, key: string): void {
  if (keys?.has(key) === true) throw new UnreadableError('an object has a key twice')
  keys?.add(key)
}

/** Returns the index just after the closing quote. */
function stringEnd(text: string, start: number): number {
  let at = start + 1
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at + 1
}

function unescaped(literal: string): string {
  if (!literal.includes('\\')) return literal.slice(1, -1)
  const text = String(JSON.parse(literal))
  // A lone surrogate, which every parser replaces with something else.
  if (/\p{Surrogate}/u.test(text)) throw new UnreadableError('a string holds half a character')
  return text
}
