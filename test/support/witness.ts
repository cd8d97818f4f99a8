import { createParser } from 'eventsource-parser'

/** Every record of a thread that any client was ever given, as it came over the wire. */
export class Witness {
  readonly records = new Map<number, string>()

  /**
   * Reads a stream of events to its end, or until the connection breaks; tells of each record.
   *
   * @throws when a record is not what it was for another reader.
   */
  async watch(
    body: AsyncIterable<Uint8Array> | null,
    onRecord: (seq: number, json: string) => unknown,
  ): Promise<void> {
    if (body === null) throw new Error('no body')
    const ready: { id?: string | undefined; data: string }[] = []
    const parser = createParser({ onEvent: (message) => ready.push(message) })
    const decoder = new TextDecoder()
    for await (const chunk of unbroken(body)) {
      parser.feed(decoder.decode(chunk, { stream: true }))
      for (const { id, data } of ready.splice(0)) {
        // What is only for this reader has no id.
        if (id !== undefined) this.#note(Number(id), data)
        await onRecord(Number(id ?? Number.NaN), data)
      }
    }
  }

  /** What the log has lost of it, or has otherwise. */
  differences(log: ReadonlyMap<number, string>): string[] {
    const differing = [...this.records].filter(([seq, json]) => log.get(seq) !== json)
    return differing.map(([seq, json]) => `record ${seq} was sent as ${json} and now is ${log.get(seq)}`)
  }

  #note(seq: number, json: string): void {
    const known = this.records.get(seq)
    if (known !== undefined && known !== json)
      throw new Error(`record ${seq} was sent as ${known}, and then as ${json}`)
    this.records.set(seq, json)
  }
}

/** The end of the connection is the end: whoever kills the server, or leaves, has wanted that. */
async function* unbroken(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await chunks.next().catch(() => undefined)
      if (next === undefined || next.done === true) return
      yield next.value
    }
  } finally {
    await chunks.return?.().catch(() => undefined)
  }
}
