/** Lines and characters of a glance at a long text; the smaller limit counts. */
const GLANCE_LINES_MAX = 14
const GLANCE_CHARS_MAX = 4000

/** The beginning of a text. A line or two over the limit are shown rather than hidden behind a button. */
export function glanceOf(text: string): string {
  const lines = text.slice(0, GLANCE_CHARS_MAX).split('\n')
  if (text.length <= GLANCE_CHARS_MAX && lines.length <= GLANCE_LINES_MAX + 2) return text
  return lines.slice(0, GLANCE_LINES_MAX).join('\n')
}

export function countLines(text: string): number {
  let count = 1
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count += 1
  return count
}

/** The text in rows of equal height. A line longer than `charsMax` goes on in the next row. */
export function rowsOfText(text: string, charsMax: number): string[] {
  return text.split('\n').flatMap((line) => {
    if (line.length <= charsMax) return [line]
    const count = Math.ceil(line.length / charsMax)
    return Array.from({ length: count }, (_, index) => line.slice(index * charsMax, (index + 1) * charsMax))
  })
}

// biome-ignore-start lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\0-\x08\x0b-\x1f\x7f]/g
/** The sequences that set colours, places and titles: CSI, then OSC and its like, then the short ones. */
const ESCAPE = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])/g
/** What a terminal has written over: all of a line before its last return, and a character before a backspace. */
const OVERWRITTEN = /^.*\r(?!$)|[^\n]\x08/gm
// biome-ignore-end lint/suspicious/noControlCharactersInRegex: they are what is looked for

/** What a terminal shows of an output in the end. */
export function asTerminal(text: string): string {
  if (text.search(CONTROL) < 0) return text
  return text.replace(ESCAPE, '').replace(/\r+\n/g, '\n').replace(OVERWRITTEN, '').replace(CONTROL, '')
}

/** Characters that draw nothing, and those that turn the order of the others around. */
const UNSEEN = /[\u00ad\u061c\u200b\u2028-\u202e\u2060-\u206f\ufeff]/g

/** The text with its unseen characters as signs: what it says is what it is. */
export function withSeen(text: string): string {
  return text
    .replace(CONTROL, (one) => String.fromCodePoint(one === '\x7f' ? 0x2421 : 0x2400 + one.charCodeAt(0)))
    .replace(UNSEEN, (one) => `⟨U+${one.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`)
}
