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
  /** Encodes an event, with `seq` as its id where the format has ids: a client resumes after that record. */
  event(event: AguiEvent, seq?: number): Buffer
}

const SSE: Encoding = {
  contentType: 'text/event-stream',
  keepalive: Buffer.from(': keep-alive\n\n'),
  batches: joined((batch) => batch.sse),
  event: (event, seq) => Buffer.from(frameText(toLine(JSON.stringify(event)), seq)),
}

function frameText(json: string, seq: number | undefined): string {
  return `${seq === undefined ? '' : `id: ${seq}\n`}data: ${json}\n\n`
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
  event: (event) => Buffer.from(encode(event)),
}

/** The dialect that a client reads, and the thread that it reads. */
export interface Reader {
  dialect: Dialect
  threadId: string
}

/** A frame for one reader. When a record becomes several frames, only the last has a `seq`. */
export type SentFrame = Omit<Frame, 'seq'> & { seq: number | undefined }

/** Returns the records of a batch as text frames for this reader. A record may become no frame, or several. */
export function framesFor({ dialect, threadId }: Reader, batch: Batch): readonly SentFrame[] {
  if (dialect === '1.0' || batch.isText) return batch.frames
  return batch.records().flatMap(({ seq, event }) => framesOf({ dialect, threadId }, event, seq))
}

/** Returns the frames of one event for this reader. */
export function framesOf({ dialect, threadId }: Reader, event: AguiEvent, seq?: number): SentFrame[] {
  const sent = dialect === '1.0' ? [event] : toOlder(event, threadId)
  return sent.map((each, index) => ({
    seq: index === sent.length - 1 ? seq : undefined,
    json: toLine(JSON.stringify(each)),
  }))
}

/** Batches for older clients. A batch belongs to one thread, so all its older readers share the bytes. */
const olderBatches = joined(
  remembered((batch: Batch, reader: Reader) => {
    if (batch.isText) return batch.sse
    return Buffer.from(
      framesFor(reader, batch)
        .map(({ seq, json }) => frameText(json, seq))
        .join(''),
    )
  }),
)

function olderSse(reader: Reader): Encoding {
  return {
    ...SSE,
    batches: (batches) => olderBatches(batches, reader),
    event: (event, seq) => {
      const texts = framesOf(reader, event, seq).map((frame) => frameText(frame.json, frame.seq))
      return Buffer.from(texts.join(''))
    },
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
