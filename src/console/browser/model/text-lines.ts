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

/** The text without the escape sequences that set colours and places in a terminal. */
export function withoutEscapes(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/\u001b\[[0-9;?]*[ -/]*[@-~]/g, '')
}
