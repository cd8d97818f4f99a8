import { isUtf8 } from 'node:buffer'

// To the kernel a file's name is bytes. A byte that is not UTF-8 is written as an escape such as `\xE9`. A backslash
// before text that would read as an escape is written as `\x5C`. Every other name is written as it is.
const ESCAPED = /\\x(5C|[89A-F][0-9A-F])/
const READS_AS_ESCAPED = /\\(?=x(?:5C|[89A-F][0-9A-F]))/g
/** Matches one UTF-8 character or, as a group, a byte that belongs to none. The text is bytes read as Latin-1. */
const CHARACTER =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are bytes
  /[\x00-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|([\x80-\xff])/g

/** Returns a name or a path as text, from which `toBytes` restores the same bytes. */
export function nameToText(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8').replace(READS_AS_ESCAPED, '\\x5C')
  const marked = bytes
    .toString('latin1')
    .replace(READS_AS_ESCAPED, '\\x5C')
    .replace(CHARACTER, (character, stray?: string) =>
      stray === undefined ? character : `\\x${stray.charCodeAt(0).toString(16).toUpperCase()}`,
    )
  return Buffer.from(marked, 'latin1').toString('utf8')
}

export function toBytes(text: string): Buffer {
  const parts = text.split(ESCAPED)
  return Buffer.concat(parts.map((part, index) => Buffer.from(part, index % 2 === 0 ? 'utf8' : 'hex')))
}

/** Returns a path for Node's file functions: a Buffer when the text holds an escape. */
export function toPath(text: string): string | Buffer {
  return ESCAPED.test(text) ? toBytes(text) : text
}
