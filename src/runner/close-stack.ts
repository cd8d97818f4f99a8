/**
 * A stack of opened parts and of the functions that close them, the latest first. It stands in for
 * `AsyncDisposableStack`, which Node 20 lacks.
 */
export class CloseStack {
  readonly #closers: (() => unknown)[] = []
  #closing: Promise<void> | undefined

  /** Opens parts. When one cannot be opened, closes the earlier ones and throws the first failure. */
  static async opening<T>(open: (opened: CloseStack) => Promise<T>): Promise<T> {
    const opened = new CloseStack()
    try {
      return await open(opened)
    } catch (error) {
      await opened.close().catch(() => undefined)
      throw error
    }
  }

  /** Returns `value`, and closes it with the stack. */
  adopt<T>(value: T, close: (value: T) => unknown): T {
    this.defer(() => close(value))
    return value
  }

  defer(close: () => unknown): void {
    this.#closers.push(close)
  }

  /** Closes all parts, even after one fails. Safe to call twice. @throws the first failure, once all are closed. */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll()
    return this.#closing
  }

  async #closeAll(): Promise<void> {
    const failures: unknown[] = []
    for (let close = this.#closers.pop(); close !== undefined; close = this.#closers.pop()) {
      try {
        await close()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}
