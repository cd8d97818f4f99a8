interface MediaPart {
  type: 'image' | 'document' | 'audio' | 'video'
  source:
    | { type: 'data'; value: string; mimeType: string }
    | { type: 'url' | 'file'; value: string; mimeType?: string | undefined }
}

const IMAGE_TYPES = ['image/jpeg', 'image/png', 'image/gif', 'image/webp'] as const
type ImageType = (typeof IMAGE_TYPES)[number]

interface UrlSource {
  type: 'url'
  url: string
}

/** A part in a form that the model accepts, or a description of one that it does not (agui-1.0-producer.md A1.8). */
export type Medium =
  | { type: 'image'; source: UrlSource | { type: 'base64'; media_type: ImageType; data: string } }
  | { type: 'pdf'; source: UrlSource | { type: 'base64'; media_type: 'application/pdf'; data: string } }
  | { type: 'text'; text: string }
  | { type: 'none'; what: string }

/** Other names in use, by the media types that the Messages API accepts. */
const SAME: Record<string, string> = {
  'image/jpg': 'image/jpeg',
  'image/pjpeg': 'image/jpeg',
  'image/x-png': 'image/png',
  'application/x-pdf': 'application/pdf',
}
const DATA_URL = /^data:([^,]*?)(;base64)?,(.*)$/is
const DATA_URL_HEAD = /^data:[^,]*,/i
/** The first bytes of each picture that the Messages API accepts, by its media type. */
const HEADS: readonly (readonly [ImageType, RegExp])[] = [
  ['image/png', /^\x89PNG/],
  ['image/jpeg', /^\xff\xd8\xff/],
  ['image/gif', /^GIF8/],
  ['image/webp', /^RIFF.{4}WEBP/s],
]

export function mediumOf(part: MediaPart): Medium {
  const { source } = part
  const none: Medium = {
    type: 'none',
    what: `${article(part.type)} ${source.type === 'file' ? 'given by a file handle' : `of type ${source.mimeType ?? 'unknown'}`}`,
  }
  if (source.type === 'file') return none
  if (source.type === 'data') return ofData(source.mimeType, source.value.replace(DATA_URL_HEAD, '')) ?? none
  const inline = DATA_URL.exec(source.value)
  if (inline !== null) {
    const [, type = '', base64, value = ''] = inline
    const bytes = percentDecoded(value)
    const data = bytes.toString(base64 === undefined ? 'base64' : 'latin1')
    return ofData(type || 'text/plain', data) ?? none
  }
  if (!/^https?:/i.test(source.value)) return none
  const declared = typeOf(source.mimeType ?? '')
  const url: UrlSource = { type: 'url', url: source.value }
  if (part.type === 'image' && declared === '') return { type: 'image', source: url }
  if (part.type === 'document' && declared === '') return { type: 'pdf', source: url }
  // The provider fetches only pictures and PDFs.
  if (declared === 'application/pdf') return { type: 'pdf', source: url }
  return isImage(declared) ? { type: 'image', source: url } : none
}

/** Returns the media type without parameters, in the spelling of the Messages API. */
function typeOf(declared: string): string {
  const [bare = ''] = declared.split(';')
  const name = bare.trim().toLowerCase()
  return SAME[name] ?? name
}

function isImage(type: string): type is ImageType {
  return IMAGE_TYPES.some((known) => known === type)
}

function ofData(declared: string, value: string): Medium | undefined {
  const type = typeOf(declared)
  // Normal base64 for the API: without line breaks or the URL-safe alphabet.
  const bytes = Buffer.from(value, 'base64')
  if (bytes.length === 0) return undefined
  const data = bytes.toString('base64')
  if (isImage(type)) return ofPicture(bytes, declared)
  if (type === 'application/pdf') return { type: 'pdf', source: { type: 'base64', media_type: type, data } }
  const text = textIn(bytes, /charset="?([\w-]+)/i.exec(declared)?.[1])
  return text === undefined ? undefined : { type: 'text', text }
}

/** Claude Code replaces what is no picture, such as HEIC under the name of JPEG, by a note to the model alone. */
function ofPicture(bytes: Buffer, declared: string): Medium {
  const head = bytes.toString('latin1', 0, 12)
  const [type] = HEADS.find(([, pattern]) => pattern.test(head)) ?? []
  if (type === undefined) return { type: 'none', what: `an image of type ${declared} whose bytes are none` }
  const data = bytes.toString('base64')
  return { type: 'image', source: { type: 'base64', media_type: type, data } }
}

/** Decides by the bytes whether they are text: source files have many types (a `.ts` is `video/mp2t`). */
function textIn(bytes: Buffer, charset = charsetOf(bytes)): string | undefined {
  try {
    const text = new TextDecoder(charset, { fatal: true }).decode(bytes)
    return text.includes('\0') ? undefined : text
  } catch {
    return undefined
  }
}

/** Reads a byte order mark, as spreadsheets write it. */
function charsetOf(bytes: Buffer): string {
  const mark = bytes.toString('hex', 0, 2)
  return { fffe: 'utf-16le', feff: 'utf-16be' }[mark] ?? 'utf-8'
}

/** Decodes to bytes, because a data URL may hold bytes that are no UTF-8. */
function percentDecoded(value: string): Buffer {
  const text = Buffer.from(value).toString('latin1')
  const bytes = text.replace(/%([\da-f]{2})/gi, (_code, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  return Buffer.from(bytes, 'latin1')
}

function article(type: MediaPart['type']): string {
  return { image: 'an image', document: 'a document', audio: 'an audio part', video: 'a video part' }[type]
}
