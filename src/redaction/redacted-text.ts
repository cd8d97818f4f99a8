export const MARKER = '[redacted]'

interface Span {
  start: number
  /** The position after the last character. */
  end: number
}

/** Cuts spans out of a text that arrives in pieces. Spans that touch leave one marker. */
export class RedactedText {
  #spans: Span[] = []
  /** The position after the last character that was given out or cut. */
  #position = 0
  /** The end of the last marker's span. */
  #markedTo = -1

  /** Cuts a span. `start` must not lie before text that was given out. */
  cut(start: number, end: number): void {
    const last = this.#spans.at(-1)
    // A span mostly grows by one character at a time.
    if (last !== undefined && start >= last.start && start <= last.end) {
      last.end = Math.max(last.end, end)
      return
    }
    const touching = this.#spans.filter((span) => span.start <= end && span.end >= start)
    const merged = {
      start: Math.min(start, ...touching.map((span) => span.start)),
      end: Math.max(end, ...touching.map((span) => span.end)),
    }
    this.#spans = [...this.#spans.filter((span) => !touching.includes(span)), merged].sort(
      (one, other) => one.start - other.start,
    )
  }

  get isWhole(): boolean {
    return this.#spans.length === 0
  }

  get position(): number {
    return this.#position
  }

  /** Marks the text up to `end` as given out unchanged. */
  pass(end: number): void {
    this.#position = end
  }

  /** Returns the redacted text up to `end`. */
  take(end: number, text: { slice(start: number, end: number): string }): string {
    let out = ''
    for (let span = this.#spans[0]; span !== undefined && span.start < end; span = this.#spans[0]) {
      if (span.start > this.#markedTo) {
        out += text.slice(this.#position, span.start) + MARKER
      }
      this.#markedTo = span.end
      this.#position = Math.max(this.#position, Math.min(span.end, end))
      if (span.end > end) {
        span.start = end
        return out
      }
      this.#spans.shift()
    }
    if (end <= this.#position) return out
    out += text.slice(this.#position, end)
    this.#position = end
    return out
  }
}
