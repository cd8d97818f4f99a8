import { RunnerError } from '../errors.ts'

/** Whether a storage is open. Every method of the port checks it first, so that a closed storage refuses all alike. */
export class Gate {
  #isOpen = true

  get isOpen(): boolean {
    return this.#isOpen
  }

  close(): void {
    this.#isOpen = false
  }

  /** @throws {RunnerError} `shutting_down` when the storage is closed. */
  check(): void {
    if (!this.#isOpen) throw closedStore()
  }
}

export function closedStore(): RunnerError {
  return new RunnerError('shutting_down', 'The store is closed; the runner is stopping.')
}
