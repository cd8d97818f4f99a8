/** A secret of fewer characters is not looked for: as a part of ordinary words it would be found everywhere. */
export const SECRET_CHARS_MIN = 8
/** Of a secret of several lines, lines of this length count each: they are shown indented or numbered too. */
const LINE_CHARS_MIN = 16
/** Beyond so many characters a value is a document, of which lines and the beginning are enough. */
const ENCODED_CHARS_MAX = 4096
/** No text has one half of a character alone. */
const LONE_SURROGATE = /\p{Surrogate}/u
const PEM_MARKER = /^-----(?:BEGIN|END) /

export interface EncodedForms {
  /** Each found where it stands as it is. */
  text: Set<string>
  /** Found also where white space stands in it. */
  base64: Set<string>
}

/** Every spelling in which a known secret is looked for, without repetitions. */
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
    // Short lines only: they belong together.
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

/** As Python's `json.dumps` writes it. */
function toAscii(text: string): string {
  return text.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Encoders differ in what they leave as it is and in the case of the digits. */
function percentForms(text: string): string[] {
  const common = encodeURIComponent(text)
  const strict = common.replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
  const pathLike = strict.replaceAll('%2F', '/')
  const formLike = strict.replaceAll('%20', '+')
  const upper = [common, strict, pathLike, formLike]
  return [...upper, ...upper.map((form) => form.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()))]
}

/** Inside a longer text it stands at one of three places, and the characters at its edges are not its own. */
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
