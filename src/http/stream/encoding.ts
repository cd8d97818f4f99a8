import { createRequire } from 'node:module'
import type { EventEncoder } from '@ag-ui/encoder'
import { type Dialect, toOlder } from '../../agui/dialect.ts'
import type { AguiEvent } from '../../agui/event.ts'
import { toLine } from '../../agui/json-line.ts'
import type { Batch, Frame } from '../../storage/batch.ts'

/** The wire format of the events of one response. */
export interface Encoding {
  contentType: string
  /** Sent at the start and in quiet times, so that client and proxies see a live connection; undefined for none. */
  keepalive: Buffer | undefined
  /** Encodes batches. Readers that pass the same array share its bytes. */
  batches(batches: readonly Batch[]): Buffer
  /** Encodes the events that a reader gets for the record `seq`, or beside the log without one. As `framesOf`. */
  events(events: readonly AguiEvent[], seq?: number): Buffer
}

const SSE: Encoding = {
  contentType: 'text/event-stream',
  keepalive: Buffer.from(': keep-alive\n\n'),
  batches: joined((batch) => batch.sse),
  events: (events, seq) => sseOf(toFrames(events, seq)),
}

function sseOf(frames: readonly SentFrame[]): Buffer {
  return Buffer.from(
    frames.map(({ seq, json }) => `${seq === undefined ? '' : `id: ${seq}\n`}data: ${json}\n\n`).join(''),
  )
}

/** Returns an encoder of batches. Readers that pass the same array share its bytes. */
function joined<Rest extends unknown[]>(bytesOf: (batch: Batch, ...rest: Rest) => Buffer) {
  const join = remembered((batches: readonly Batch[], ...rest: Rest) =>
    Buffer.concat(batches.map((batch) => bytesOf(batch, ...rest))),
  )
  return (batches: readonly Batch[], ...rest: Rest): Buffer => {
    const [first] = batches
    return first !== undefined && batches.length === 1 ? bytesOf(first, ...rest) : join(batches, ...rest)
  }
}

function remembered<Value extends object, Rest extends unknown[]>(
  encode: (value: Value, ...rest: Rest) => Buffer,
): (value: Value, ...rest: Rest) => Buffer {
  const known = new WeakMap<Value, Buffer>()
  return (value, ...rest) => {
    const bytes = known.get(value) ?? encode(value, ...rest)
    known.set(value, bytes)
    return bytes
  }
}

const AGUI_MEDIA_TYPE = 'application/vnd.ag-ui.event+proto'
/** The media types of an event stream. */
export const STREAM_TYPES: readonly string[] = [SSE.contentType, AGUI_MEDIA_TYPE]

let encoder: EventEncoder | undefined

/** Encodes an event in protobuf. The encoder is loaded for the first client that uses it, as most servers need none. */
function encode(event: AguiEvent): Uint8Array {
  if (encoder === undefined) {
    const module: typeof import('@ag-ui/encoder') = createRequire(import.meta.url)('@ag-ui/encoder')
    encoder = new module.EventEncoder({ accept: AGUI_MEDIA_TYPE })
  }
  return encoder.encodeBinary(event)
}

/** AG-UI's protobuf framing. It has no keep-alive (agui-1.0-producer.md A15.94). */
const PROTOBUF: Encoding = {
  contentType: AGUI_MEDIA_TYPE,
  keepalive: undefined,
  batches: joined(remembered((batch) => Buffer.concat(batch.records().map(({ event }) => encode(event))))),
  events: (events) => Buffer.concat(events.map(encode)),
}

/** The dialect that a client reads, and the thread that it reads. */
export interface Reader {
  dialect: Dialect
  threadId: string
}

/** A frame for one reader. A record may become several, and only the last of them has a `seq`. */
export type SentFrame = Omit<Frame, 'seq'> & { seq: number | undefined }

/** Returns the records of a batch as text frames for this reader. A record may become no frame, or several. */
export function framesFor({ dialect, threadId }: Reader, batch: Batch): readonly SentFrame[] {
  if (dialect === '1.0' || batch.isText) return batch.frames
  return batch.records().flatMap(({ seq, event }) => framesOf({ dialect, threadId }, [event], seq))
}

/** Returns the frames of the events that this reader gets for the record `seq`. */
export function framesOf(
  { dialect, threadId }: Reader,
  events: readonly AguiEvent[],
  seq?: number,
): SentFrame[] {
  return toFrames(dialect === '1.0' ? events : events.flatMap((event) => toOlder(event, threadId)), seq)
}

/** Only the last frame of a record has its seq, so that a reader that is cut off in between gets all of them again. */
function toFrames(events: readonly object[], seq: number | undefined): SentFrame[] {
  return events.map((event, index) => ({
    seq: index === events.length - 1 ? seq : undefined,
    json: toLine(JSON.stringify(event)),
  }))
}

/** Batches for older clients. A batch belongs to one thread, so all its older readers share the bytes. */
const olderBatches = joined(
  remembered((batch: Batch, reader: Reader) => {
    return batch.isText ? batch.sse : sseOf(framesFor(reader, batch))
  }),
)

function olderSse(reader: Reader): Encoding {
  return {
    ...SSE,
    batches: (batches) => olderBatches(batches, reader),
    events: (events, seq) => sseOf(framesOf(reader, events, seq)),
  }
}

/**
 * Chooses the encoding of a stream. Older clients get SSE whatever they accept: their protobuf lacks half of the
 * events, and all of them follow the answer's content type. Others get protobuf only when `Accept` names it, because
 * curl and plain fetch send a wildcard and expect text. This departs from the specification's SHOULD
 * (agui-1.0-producer.md A15.91).
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
