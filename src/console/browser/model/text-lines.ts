/** A glance of a long text: so many lines, or so many characters, whichever comes first. */
const GLANCE_LINES_MAX = 14
const GLANCE_CHARS_MAX = 4000

/** A line or two over the limit are shown rather than hidden behind a button. */
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

/** As rows of equal height: a line that is longer than `charsMax` goes on in the next row. */
export function rowsOfText(text: string, charsMax: number): string[] {
  return text.split('\n').flatMap((line) => {
    if (line.length <= charsMax) return [line]
    const count = Math.ceil(line.length / charsMax)
    return Array.from({ length: count }, (_, index) => line.slice(index * charsMax, (index + 1) * charsMax))
  })
}

/** Without the escape sequences by which a terminal is told colours and places. */
export function withoutEscapes(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/\u001b\[[0-9;?]*[ -/]*[@-~]/g, '')
}
