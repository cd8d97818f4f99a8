import { createParser } from 'eventsource-parser'
import { isEvent, type RunnerEvent } from './events.ts'

/** One SSE frame. One without a seq belongs to the next frame that has one, or is about the stream itself. */
export interface Frame {
  seq: number | undefined
  event: RunnerEvent
}

/** Takes the bytes of an SSE stream as they come and returns the frames that are whole. */
export class FrameReader {
  readonly #decoder = new TextDecoder()
  #frames: Frame[] = []
  readonly #parser = createParser({
    onEvent: ({ id, data }) => {
      const event: unknown = JSON.parse(data)
      if (!isEvent(event)) throw new Error(`This is no event: ${data.slice(0, 80)}`)
      const seq = id === undefined ? undefined : Number(id)
      this.#frames.push({ seq: Number.isInteger(seq) ? seq : undefined, event })
    },
  })

  read(bytes: Uint8Array): Frame[] {
    this.#frames = []
    this.#parser.feed(this.#decoder.decode(bytes, { stream: true }))
    return this.#frames
  }
}
