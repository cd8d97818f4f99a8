import assert from 'node:assert'
import { EventType } from '@ag-ui/core'
import { z } from 'zod'
import type { AguiEvent } from '../agui/event.ts'
import { isDelta } from '../agui/items.ts'

export interface LogRecord {
  /** Per thread, from 1, without gaps; also the SSE id. */
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

/** A stored batch is its header, one line of JSON, and then the frames; door of the stored data. */
const Header = z.object({
  runId: z.string(),
  at: z.number(),
  first: z.number(),
  last: z.number(),
  /** The events of this batch end their run. */
  terminal: z.boolean(),
  /** Each event adds text to an open item, as nearly all do: such batches are the same to every reader. */
  isText: z.boolean().default(false),
})
type Header = z.infer<typeof Header>

const NEWLINE = 0x0a
const FRAME_END = '\n\n'

/**
 * Consecutive records of one run that were committed together, already in the form every SSE reader gets:
 * `id: <seq>\ndata: <json>\n\n` each. Encoded once, stored as it is, shared by all readers.
 */
export class Batch {
  readonly runId: string
  readonly at: number
  readonly first: number
  readonly last: number
  readonly terminal: boolean
  readonly isText: boolean
  readonly sse: Buffer
  /** As it is stored: `sse` is the end of it. Undefined of a part of a batch. */
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
    // In one piece, so that whoever stores it copies nothing together.
    const head = `${JSON.stringify(header)}\n`
    const stored = Buffer.from(head + text)
    return new Batch(header, stored.subarray(Buffer.byteLength(head)), stored)
  }

  /** @throws when the bytes are not a stored batch: the store is damaged. */
  static decode(stored: Buffer): Batch {
    const end = stored.indexOf(NEWLINE)
    const header = Header.parse(JSON.parse(stored.toString('utf8', 0, end)))
    return new Batch(header, stored.subarray(end + 1), stored)
  }

  encode(): Buffer {
    assert(this.#stored !== undefined, 'a part of a batch is not stored')
    return this.#stored
  }

  /** The part of this batch after `seq`; the batch itself when all of it is. */
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

  /** The events were made by this program and typed then; the store keeps them verbatim. */
  records(): LogRecord[] {
    const { runId, at } = this
    return this.frames.map(({ seq, json }) => ({ seq, runId, at, event: JSON.parse(json) as AguiEvent }))
  }
}
