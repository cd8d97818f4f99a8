export type LogLine = Record<string, unknown>

/** The lines of a log as they come, and who waits for one of them. */
export class LogLines {
  readonly all: LogLine[] = []
  readonly #waiting = new Set<(line: LogLine) => void>()

  add(line: LogLine): void {
    this.all.push(line)
    for (const look of this.#waiting) look(line)
  }

  /** The first one, past or to come, for which `test` holds. */
  first(test: (line: LogLine) => boolean): Promise<LogLine> {
    const known = this.all.find(test)
    if (known !== undefined) return Promise.resolve(known)
    return new Promise((resolve) => {
      const look = (line: LogLine): void => {
        if (!test(line)) return
        this.#waiting.delete(look)
        resolve(line)
      }
      this.#waiting.add(look)
    })
  }
}
