// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a terminal would obey
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g

/** Replaces control characters by U+FFFD: the text cannot move the cursor, hide a line or turn its direction. */
export function printable(text: string): string {
  return text.replace(CONTROL, '\ufffd')
}

/** The same for a line's part, such as a path: it cannot begin a line of its own. */
export function printableInLine(text: string): string {
  return printable(text).replace(/[\t\n]/g, '\ufffd')
}
