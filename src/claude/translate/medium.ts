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

export function mediumOf(part: MediaPart): Medium {
  const { source } = part
  const none: Medium = {
    type: 'none',
    what: `${article(part.type)} ${source.type === 'file' ? 'given by a file handle' : `of type ${source.mimeType ?? 'unknown'}`}`,
  }
  if (source.type === 'file') return none
  if (source.type === 'data') return ofData(source.mimeType, source.value) ?? none
  const inline = DATA_URL.exec(source.value)
  if (inline !== null) {
    const [, type = '', base64, value = ''] = inline
    const data = base64 === undefined ? Buffer.from(decoded(value)).toString('base64') : value
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
  // Normal base64 for the API: without the head of a data URL, line breaks or the URL-safe alphabet.
  const bytes = Buffer.from(value.replace(DATA_URL_HEAD, ''), 'base64')
  if (bytes.length === 0) return undefined
  const data = bytes.toString('base64')
  if (isImage(type)) return { type: 'image', source: { type: 'base64', media_type: type, data } }
  if (type === 'application/pdf') return { type: 'pdf', source: { type: 'base64', media_type: type, data } }
  const text = textIn(bytes, /charset="?([\w-]+)/i.exec(declared)?.[1])
  return text === undefined ? undefined : { type: 'text', text }
}

/** Decides by the bytes whether they are text: source files have many types (a `.ts` is `video/mp2t`). */
function textIn(bytes: Buffer, charset = 'utf-8'): string | undefined {
  try {
    const text = new TextDecoder(charset, { fatal: true }).decode(bytes)
    return text.includes('\0') ? undefined : text
  } catch {
    return undefined
  }
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

function article(type: MediaPart['type']): string {
  return { image: 'an image', document: 'a document', audio: 'an audio part', video: 'a video part' }[type]
}
