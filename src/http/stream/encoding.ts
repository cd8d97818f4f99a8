import { createRequire } from 'node:module'
import type { EventEncoder } from '@ag-ui/encoder'
import type { AguiEvent } from '../../agui/event.ts'
import type { Batch } from '../../storage/batch.ts'

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
  event: (event, seq) =>
    Buffer.from(`${seq === undefined ? '' : `id: ${seq}\n`}data: ${JSON.stringify(event)}\n\n`),
}

function joined(bytesOf: (batch: Batch) => Buffer): Encoding['batches'] {
  return remembered((batches: readonly Batch[]) => {
    const [only, ...others] = batches
    if (only !== undefined && others.length === 0) return bytesOf(only)
    return Buffer.concat(batches.map(bytesOf))
  })
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

/**
 * Protobuf only when `Accept` names it: curl and plain fetch send a wildcard and expect text. A departure from
 * the specification's SHOULD, with that reason (agui-1.0-producer.md A15.91).
 */
export function chooseEncoding(accept: string | undefined): Encoding {
  const names = (accept ?? '').split(',').map((entry) => entry.split(';').map((part) => part.trim()))
  const isNamed = names.some(
    ([type, ...parameters]) =>
      type?.toLowerCase() === AGUI_MEDIA_TYPE &&
      !parameters.some((parameter) => /^q=0(\.0*)?$/i.test(parameter)),
  )
  return isNamed ? PROTOBUF : SSE
}
