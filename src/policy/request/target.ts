// Turns a request target into one canonical path before any rule sees it (openshell.md 1.6, net/l7/path.rs).

const PATH_BYTES_MAX = 4096
/** Stands for a decoded `%2F`, so that it is not taken for a separator. Control bytes are refused before. */
const ENCODED_SLASH = '\x01'

/** The error for a target that is refused, also where enforcement is `audit`. */
export class TargetError extends Error {
  override readonly name = 'TargetError'
}

export interface CanonicalTarget {
  path: string
  /** The decoded parameters. A repeated key has all its values, in order. */
  query: ReadonlyMap<string, readonly string[]>
}

/**
 * Returns the canonical path and the query of a request target, in origin-form or absolute-form `http://host/path`.
 * Percent-decodes, strips `;params`, resolves dot segments, collapses slashes, re-encodes all but pchars.
 * Throws TargetError for control or non-ASCII bytes, `#`, bad escapes, `%2F` unless `allowEncodedSlash`,
 * climbing above the root, and paths over 4096 bytes.
 */
export function canonicalTarget(target: string, options: { allowEncodedSlash: boolean }): CanonicalTarget {
  const { path, query } = splitTarget(target)
  return { path: canonicalPath(path, options.allowEncodedSlash), query: parseQuery(query) }
}

function splitTarget(target: string): { path: string; query: string } {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  if (/[\x00-\x1f\x7f]/.test(target)) throw new TargetError('the target holds a control byte')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the class is "not ASCII"
  if (/[^\x00-\x7f]/.test(target)) throw new TargetError('the target holds raw non-ASCII bytes')
  if (target.includes('#')) throw new TargetError('the target holds a fragment')
  const mark = target.indexOf('?')
  const raw = mark < 0 ? target : target.slice(0, mark)
  const absolute = /^[a-z][a-z0-9+.-]*:\/\/[^/]+(\/.*)?$/i.exec(raw)
  const path = absolute === null ? raw || '/' : (absolute[1] ?? '/')
  return { path, query: mark < 0 ? '' : target.slice(mark + 1) }
}

function canonicalPath(raw: string, allowEncodedSlash: boolean): string {
  if (!raw.startsWith('/')) throw new TargetError('the target is not an absolute path')
  if (raw.length > PATH_BYTES_MAX) throw new TargetError(`the path is longer than ${PATH_BYTES_MAX} bytes`)
  const decoded = decodePath(raw, allowEncodedSlash)
  // Parameters are stripped first: `..;x` must be a dot segment when the dots are resolved.
  const segments = decoded
    .slice(1)
    .split('/')
    .map((segment) => segment.split(';', 1)[0] ?? '')
  const resolved = resolveDots(segments)
  for (const segment of resolved) {
    if (segment.split(ENCODED_SLASH).some((part) => part === '.' || part === '..')) {
      throw new TargetError('a dot segment hides behind an encoded slash')
    }
  }
  return `/${resolved.map(encodeSegment).join('/')}`
}

/** Returns the decoded path as Latin-1 text: one character per byte. */
function decodePath(raw: string, allowEncodedSlash: boolean): string {
  return raw.replace(/%(.{0,2})/g, (_, digits: string) => {
    if (!/^[0-9a-f]{2}$/i.test(digits)) throw new TargetError('invalid percent-encoding')
    const byte = Number.parseInt(digits, 16)
    if (byte < 0x20 || byte === 0x7f) throw new TargetError('the target holds an encoded control byte')
    if (byte !== 0x2f) return String.fromCharCode(byte)
    if (!allowEncodedSlash) throw new TargetError("encoded '/' (%2F) is not allowed on this endpoint")
    return ENCODED_SLASH
  })
}

function resolveDots(segments: readonly string[]): string[] {
  const stack: string[] = []
  segments.forEach((segment, index) => {
    const isLast = index === segments.length - 1
    if (segment === '..' && stack.pop() === undefined) throw new TargetError("'..' climbs above the root")
    if (segment === '..' || segment === '.') {
      if (isLast) stack.push('')
    } else if (segment !== '' || isLast) stack.push(segment)
  })
  return stack
}

function encodeSegment(segment: string): string {
  return segment.replace(/[^A-Za-z0-9\-._~!$&'()*+,;=:@]/g, (char) => {
    const byte = char === ENCODED_SLASH ? 0x2f : char.charCodeAt(0)
    return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  })
}

function parseQuery(query: string): Map<string, string[]> {
  const values = new Map<string, string[]>()
  for (const pair of query.split('&').filter((part) => part !== '')) {
    const equals = pair.indexOf('=')
    const key = decodeComponent(equals < 0 ? pair : pair.slice(0, equals))
    const value = decodeComponent(equals < 0 ? '' : pair.slice(equals + 1))
    values.set(key, [...(values.get(key) ?? []), value])
  }
  return values
}

function decodeComponent(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    // It fails only for bad escapes and for bytes that are not UTF-8.
    throw new TargetError('the query holds invalid percent-encoding')
  }
}
