import { isObject, type Json } from './fields.ts'

/** One record of the log. `seq` is undefined for what a stream says of itself and the log does not hold. */
export interface Frame {
  seq: number | undefined
  event: Json
}

/** Text of an SSE stream in, whole frames out; the rest waits for more. */
export class FrameReader {
  #rest = ''

  read(text: string): Frame[] {
    const parts = `${this.#rest}${text}`.split(/\r?\n\r?\n/)
    this.#rest = parts.pop() ?? ''
    return parts.flatMap((part) => toFrame(part) ?? [])
  }
}

function toFrame(part: string): Frame | undefined {
  let seq: number | undefined
  const data: string[] = []
  for (const line of part.split(/\r?\n/)) {
    const [, field, value = ''] = /^(\w+): ?(.*)$/s.exec(line) ?? []
    if (field === 'id') seq = Number(value)
    if (field === 'data') data.push(value)
  }
  if (data.length === 0) return undefined
  const event: unknown = JSON.parse(data.join('\n'))
  return isObject(event) ? { seq: Number.isInteger(seq) ? seq : undefined, event } : undefined
}
