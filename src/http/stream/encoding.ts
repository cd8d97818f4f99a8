import { createRequire } from 'node:module'
import type { EventEncoder } from '@ag-ui/encoder'
import { type Dialect, toOlder } from '../../agui/dialect.ts'
import type { AguiEvent } from '../../agui/event.ts'
import type { Batch, Frame } from '../../storage/batch.ts'

/** How events go over the wire of one response. */
export interface Encoding {
  contentType: string
  /** Written at once and while nothing else is: shows the peer, and proxies between, that the line is alive. */
  keepalive: Buffer | undefined
  /** Readers that are handed the same array share its bytes. */
  batches(batches: readonly Batch[]): Buffer
  /** With `seq` as its id, where the form has one: a client that is cut off there goes on behind that record. */
  event(event: AguiEvent, seq?: number): Buffer
}

const SSE: Encoding = {
  contentType: 'text/event-stream',
  keepalive: Buffer.from(': keep-alive\n\n'),
  batches: joined((batch) => batch.sse),
  event: (event, seq) => Buffer.from(frameText(JSON.stringify(event), seq)),
}

function frameText(json: string, seq: number | undefined): string {
  return `${seq === undefined ? '' : `id: ${seq}\n`}data: ${json}\n\n`
}

function joined(bytesOf: (batch: Batch) => Buffer): Encoding['batches'] {
  return remembered((batches: readonly Batch[]) => join(batches, bytesOf))
}

function join(batches: readonly Batch[], bytesOf: (batch: Batch) => Buffer): Buffer {
  const [only, ...others] = batches
  return only !== undefined && others.length === 0 ? bytesOf(only) : Buffer.concat(batches.map(bytesOf))
}

function remembered<Value extends object>(encodeAll: (value: Value) => Buffer): (value: Value) => Buffer {
  const known = new WeakMap<Value, Buffer>()
  return (value) => {
    const bytes = known.get(value) ?? encodeAll(value)
    known.set(value, bytes)
    return bytes
  }
}

const AGUI_MEDIA_TYPE = 'application/vnd.ag-ui.event+proto'
/** What a stream of events may be sent as. */
export const STREAM_TYPES: readonly string[] = [SSE.contentType, AGUI_MEDIA_TYPE]

let encoder: EventEncoder | undefined

/** The encoder is loaded with the first client that asks for it: most servers never have one. */
function encode(event: AguiEvent): Uint8Array {
  if (encoder === undefined) {
    const module: typeof import('@ag-ui/encoder') = createRequire(import.meta.url)('@ag-ui/encoder')
    encoder = new module.EventEncoder({ accept: AGUI_MEDIA_TYPE })
  }
  return encoder.encodeBinary(event)
}

/** AG-UI's protobuf framing; it knows no keep-alive (agui-1.0-producer.md A15.94). */
const PROTOBUF: Encoding = {
  contentType: AGUI_MEDIA_TYPE,
  keepalive: undefined,
  batches: joined(remembered((batch) => Buffer.concat(batch.records().map(({ event }) => encode(event))))),
  event: (event) => Buffer.from(encode(event)),
}

/** Whose events to whom. */
export interface Reader {
  dialect: Dialect
  threadId: string
}

/** A frame as one reader gets it; `seq` is undefined for all but the last of those that one record has become. */
export type ToldFrame = Omit<Frame, 'seq'> & { seq: number | undefined }

/** The records of a batch as this reader gets them, in text: a record may become none, or several. */
export function framesFor({ dialect, threadId }: Reader, batch: Batch): readonly ToldFrame[] {
  if (dialect === '1.0' || batch.isText) return batch.frames
  return batch.records().flatMap(({ seq, event }) => framesOf({ dialect, threadId }, event, seq))
}

/** One event as this reader gets it. */
export function framesOf({ dialect, threadId }: Reader, event: AguiEvent, seq?: number): ToldFrame[] {
  const told = dialect === '1.0' ? [event] : toOlder(event, threadId)
  return told.map((each, index) => ({
    seq: index === told.length - 1 ? seq : undefined,
    json: JSON.stringify(each),
  }))
}

/** A batch is of one thread, so readers of older clients share its bytes as those of 1.0 do. */
const olderBytes = new WeakMap<Batch, Buffer>()

function olderSse(reader: Reader): Encoding {
  const bytesOf = (batch: Batch): Buffer => {
    if (batch.isText) return batch.sse
    const known = olderBytes.get(batch)
    if (known !== undefined) return known
    const frames = framesFor(reader, batch).map(({ seq, json }) => frameText(json, seq))
    const bytes = Buffer.from(frames.join(''))
    olderBytes.set(batch, bytes)
    return bytes
  }
  return {
    ...SSE,
    batches: (batches) => join(batches, bytesOf),
    event: (event, seq) => {
      const texts = framesOf(reader, event, seq).map((frame) => frameText(frame.json, frame.seq))
      return Buffer.from(texts.join(''))
    },
  }
}

/**
 * Older clients are answered in SSE whatever they accept: their protobuf lacks half of the events, and all of them go by
 * the answer's content type. Protobuf only when `Accept` names it: curl and plain fetch send a wildcard and expect text. A departure from
 * the specification's SHOULD, with that reason (agui-1.0-producer.md A15.91).
 */
export function chooseEncoding(accept: string | undefined, reader: Reader): Encoding {
  if (reader.dialect === 'older') return olderSse(reader)
  const names = (accept ?? '').split(',').map((entry) => entry.split(';').map((part) => part.trim()))
  const isNamed = names.some(
    ([type, ...parameters]) =>
      type?.toLowerCase() === AGUI_MEDIA_TYPE &&
      !parameters.some((parameter) => /^q=0(\.0*)?$/i.test(parameter)),
  )
  return isNamed ? PROTOBUF : SSE
}
