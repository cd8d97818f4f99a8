import assert from 'node:assert'
import { EventType } from '@ag-ui/core'
import { z } from 'zod'
import type { AguiEvent } from '../agui/event.ts'
import { isDelta } from '../agui/items.ts'
import { toLine } from '../agui/json-line.ts'

export interface LogRecord {
  /** The record's number within its thread, from 1 without gaps; also its SSE id. */
  seq: number
  runId: string
  /** Commit time, milliseconds since the epoch. */
  at: number
  event: AguiEvent
}

export interface Frame {
  seq: number
  /** The event as JSON text, one line. */
  json: string
}

/** Schema of a stored batch's header. A stored batch is the header as one line of JSON, followed by the frames. */
const Header = z.object({
  runId: z.string(),
  at: z.number(),
  first: z.number(),
  last: z.number(),
  /** Whether the batch ends its run. */
  terminal: z.boolean(),
  /** Whether every event adds text to an open item, as in most batches. Such a batch is the same for every reader. */
  isText: z.boolean().default(false),
})
type Header = z.infer<typeof Header>

const NEWLINE = 0x0a
const FRAME_END = '\n\n'

/**
 * Consecutive records of one run that were committed together, already encoded for SSE readers:
 * `id: <seq>\ndata: <json>\n\n` per record. A batch is encoded once, stored as it is and shared by all readers.
 */
export class Batch {
  readonly runId: string
  readonly at: number
  readonly first: number
  readonly last: number
  readonly terminal: boolean
  readonly isText: boolean
  readonly sse: Buffer
  /** The stored form: the header, then `sse`. Undefined when this is only a part of a batch. */
  readonly #stored: Buffer | undefined
  #frames: readonly Frame[] | undefined

  private constructor(header: Header, sse: Buffer, stored?: Buffer) {
    this.runId = header.runId
    this.at = header.at
    this.first = header.first
    this.last = header.last
    this.terminal = header.terminal
    this.isText = header.isText
    this.sse = sse
    this.#stored = stored
  }

  static of(runId: string, events: readonly AguiEvent[], place: { first: number; at: number }): Batch {
    let text = ''
    let seq = place.first
    for (const event of events) text += `id: ${seq++}\ndata: ${JSON.stringify(event)}${FRAME_END}`
    const type = events.at(-1)?.type
    const terminal = type === EventType.RUN_FINISHED || type === EventType.RUN_ERROR
    const header = {
      runId,
      at: place.at,
      first: place.first,
      last: seq - 1,
      terminal,
      isText: events.every(isDelta),
    }
    // Encoded into one buffer, so that the store need not concatenate header and frames.
    const head = `${JSON.stringify(header)}\n`
    const stored = Buffer.from(head + toLine(text))
    return new Batch(header, stored.subarray(Buffer.byteLength(head)), stored)
  }

  /** Decodes a stored batch. @throws when the bytes are not one: the store is damaged. */
  static decode(stored: Buffer): Batch {
    const end = stored.indexOf(NEWLINE)
    const header = Header.parse(JSON.parse(stored.toString('utf8', 0, end)))
    return new Batch(header, stored.subarray(end + 1), stored)
  }

  encode(): Buffer {
    assert(this.#stored !== undefined, 'a part of a batch is not stored')
    return this.#stored
  }

  /** Returns the part of this batch after `seq`: the batch itself when all of its records are. */
  after(seq: number): Batch {
    if (seq < this.first) return this
    let start = 0
    for (let skipped = this.first; skipped <= seq; skipped++) {
      start = this.sse.indexOf(FRAME_END, start) + FRAME_END.length
    }
    const { runId, at, last, terminal, isText } = this
    return new Batch({ runId, at, first: seq + 1, last, terminal, isText }, this.sse.subarray(start))
  }

  get frames(): readonly Frame[] {
    this.#frames ??= this.sse
      .toString('utf8')
      .split(FRAME_END)
      .slice(0, -1)
      .map((frame, index) => ({
        seq: this.first + index,
        json: frame.slice(frame.indexOf('\n') + 'data: '.length + 1),
      }))
    return this.#frames
  }

  /** Returns the records. Their events need no check: this program made them, and the store keeps them verbatim. */
  records(): LogRecord[] {
    const { runId, at } = this
    return this.frames.map(({ seq, json }) => ({ seq, runId, at, event: JSON.parse(json) as AguiEvent }))
  }
}
