/**
 * What has been opened, each with the way to close it; closed youngest first. As `AsyncDisposableStack`, which Node 20
 * lacks.
 */
export class CloseStack {
  readonly #closers: (() => unknown)[] = []
  #closing: Promise<void> | undefined

  /** `value` is closed with the stack. */
  adopt<T>(value: T, close: (value: T) => unknown): T {
    this.defer(() => close(value))
    return value
  }

  defer(close: () => unknown): void {
    this.#closers.push(close)
  }

  /** Idempotent. Closes everything, also behind a part that fails. @throws the first failure, when all are closed. */
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
