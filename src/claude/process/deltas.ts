import { Transform, type TransformCallback } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { parseJson } from '../../json.ts'

/** A message of Claude Code, and the deltas right behind it that differ from it in nothing but text and uuid. */
export interface Heard {
  readonly message: unknown
  /** The texts of those deltas. */
  readonly more: readonly string[]
}

/** How a line with a delta begins (2.1.197 to 2.1.332). A line that begins in another way is left to the SDK. */
const DELTA_HEAD = '{"type":"stream_event","event":{"type":"content_block_delta",'
/** The parts of such a line around its text and its uuid. */
const PARTS =
  /^(\{"type":"stream_event","event":\{"type":"content_block_delta","index":\d+,"delta":\{"type":"(?:text_delta","text|thinking_delta","thinking|input_json_delta","partial_json)":").*?("\}\},"session_id":"[^"]*","parent_tool_use_id":(?:null|"[^"]*"),"uuid":").{36}("(?:,"api_message_id":"[^"]*")?\}\n)$/
const UUID_CHARS = 36
const BACKSLASH = 0x5c
/** In a JSON string: an escape, or a control character, which no JSON string may hold. */
const UNPLAIN = /[^ -[\]-\uffff]/
/** The type of the message that stands for deltas. Claude Code has none of this name. */
const STAND_IN = 'agui-runner.deltas'
const STAND_IN_LINE = `${JSON.stringify({ type: STAND_IN })}\n`

/**
 * Claude Code's output for the SDK, without the deltas, which are nearly all of it: the SDK passes each line through
 * several queues of promises. For the deltas of a block that come together it gets one line. It passes that on like
 * every message of a type that it does not know, and `heard` then returns the deltas. So all messages keep their order.
 */
export class Deltas extends Transform {
  readonly #decoder = new StringDecoder('utf8')
  /** The beginning of the line whose end has not come yet. */
  #begun = ''
  /** The deltas that the SDK has got a line for, the eldest first. */
  readonly #held: Heard[] = []

  override _transform(piece: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const text = this.#decoder.write(piece)
    const end = text.lastIndexOf('\n') + 1
    if (end > 0) this.#take(this.#begun + text.slice(0, end))
    this.#begun = end > 0 ? text.slice(end) : this.#begun + text
    done()
  }

  override _flush(done: TransformCallback): void {
    done(null, this.#begun + this.#decoder.end())
  }

  /** Returns what a message of the SDK stands for: deltas, or itself. */
  heard(message: { readonly type: string }): Heard {
    const deltas = message.type === STAND_IN ? this.#held.shift() : undefined
    return deltas ?? { message, more: [] }
  }

  #take(lines: string): void {
    let out = ''
    let series: Series | undefined
    let at = 0
    while (at < lines.length) {
      const behind = series?.take(lines, at) ?? -1
      if (behind >= 0) {
        at = behind
        continue
      }
      const end = lines.indexOf('\n', at) + 1
      const line = lines.slice(at, end)
      series = Series.of(line)
      if (series !== undefined) this.#held.push(series)
      out += series === undefined ? line : STAND_IN_LINE
      at = end
    }
    if (out !== '') this.push(out)
  }
}

/** Deltas of one block. Only the first is parsed as a whole. From the others the text is taken. */
class Series implements Heard {
  readonly message: unknown
  readonly more: string[] = []
  /** The line of the first, until the second comes. */
  readonly #first: string
  #parts: RegExpExecArray | null | undefined

  private constructor(first: string, message: unknown) {
    this.#first = first
    this.message = message
  }

  /** Returns undefined for a line that is no delta, or no JSON: the SDK decides what becomes of it. */
  static of(line: string): Series | undefined {
    const message = line.startsWith(DELTA_HEAD) ? parseJson(line) : undefined
    return message === undefined ? undefined : new Series(line, message)
  }

  /** Adds the delta whose line begins at `at`. Returns the end of the line, or -1 when the line is none of this series. */
  take(lines: string, at: number): number {
    if (this.#parts === undefined) this.#parts = PARTS.exec(this.#first)
    const [, head, middle, tail] = this.#parts ?? []
    if (head === undefined || middle === undefined || tail === undefined) return -1
    if (!lines.startsWith(head, at)) return -1
    const from = at + head.length
    let to = lines.indexOf('"', from)
    // A text that ends in a backslash of its own leads past its end, and so to a line that is none of this series.
    while (to > from && lines.charCodeAt(to - 1) === BACKSLASH) to = lines.indexOf('"', to + 1)
    const behind = to + middle.length + UUID_CHARS
    if (!lines.startsWith(middle, to) || !lines.startsWith(tail, behind)) return -1
    const literal = lines.slice(from, to)
    const text = UNPLAIN.test(literal) ? parseJson(`"${literal}"`) : literal
    if (typeof text !== 'string') return -1
    this.more.push(text)
    return behind + tail.length
  }
}
