/** Shortest secret that is searched for. A shorter one would be found as a part of ordinary words. */
export const SECRET_CHARS_MIN = 8
/** Shortest line of a secret with several lines that is searched for by itself: lines are shown indented or numbered. */
const LINE_CHARS_MIN = 16
/** Longest value of which every encoding is searched for. A longer value is a document: its lines and start are enough. */
const ENCODED_CHARS_MAX = 4096
/** Half of a character alone, which no well-formed text has. */
const LONE_SURROGATE = /\p{Surrogate}/u
const PEM_MARKER = /^-----(?:BEGIN|END) /

export interface EncodedForms {
  /** Forms that are found only as they are. */
  text: Set<string>
  /** Forms that are also found with white space inside. */
  base64: Set<string>
}

/** Returns every spelling in which a known secret is searched for, each once. */
export function encodedForms(value: string): EncodedForms {
  const forms: EncodedForms = { text: new Set(), base64: new Set() }
  const trimmed = value.trim()
  if (trimmed.length < SECRET_CHARS_MIN || LONE_SURROGATE.test(trimmed)) return forms
  const lines = trimmed.split(/\r?\n/)
  if (lines.length === 1) addTextForms(trimmed, forms)
  else {
    for (const line of lines.map((text) => text.trim())) {
      if (line.length >= LINE_CHARS_MIN && !PEM_MARKER.test(line)) addTextForms(line, forms)
    }
    // All lines are short, so they are searched for together.
    if (forms.text.size === 0) addTextForms(trimmed, forms)
  }
  addBase64Forms(trimmed.slice(0, ENCODED_CHARS_MAX), forms.base64)
  return forms
}

function addTextForms(text: string, { text: forms, base64 }: EncodedForms): void {
  forms.add(text)
  const escaped = inJson(text)
  for (const form of [escaped, inJson(escaped), toAscii(escaped), text.replaceAll('/', '\\/')])
    forms.add(form)
  for (const form of percentForms(text)) forms.add(form)
  addBase64Forms(text, base64)
}

function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

/** Escapes a text as Python's `json.dumps` does. */
function toAscii(text: string): string {
  return text.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Returns the percent encodings. Encoders differ in the characters they leave alone and in the case of the digits. */
function percentForms(text: string): string[] {
  const common = encodeURIComponent(text)
  const strict = common.replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
  const pathLike = strict.replaceAll('%2F', '/')
  const formLike = strict.replaceAll('%20', '+')
  const upper = [common, strict, pathLike, formLike]
  return [...upper, ...upper.map((form) => form.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()))]
}

/** Adds the base64 forms. Inside a longer text a secret has one of three offsets, and its edge characters are shared. */
function addBase64Forms(text: string, forms: Set<string>): void {
  const bytes = Buffer.from(text)
  for (const offset of [0, 1, 2]) {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .replaceAll('=', '')
    const isWhole = (offset + bytes.length) % 3 === 0
    const alone = encoded.slice(offset === 0 ? 0 : offset + 1)
    for (const form of [alone, isWhole ? alone : alone.slice(0, -1)]) {
      forms.add(form)
      forms.add(form.replaceAll('+', '-').replaceAll('/', '_'))
    }
  }
}
