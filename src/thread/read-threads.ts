import { inBackground } from '../background.ts'
import { RunnerError } from '../errors.ts'
import type { Storage } from '../storage/storage.ts'
import type { ServedThreads } from './served-threads.ts'
import type { StoredThreads, ThreadView } from './stored-threads.ts'

/** The threads of other processes, read only. A change is refused with the address of the thread's runner. */
export class ReadThreads implements ServedThreads {
  readonly #storage: Storage
  readonly #stored: StoredThreads

  constructor(storage: Storage, stored: StoredThreads) {
    this.#storage = storage
    this.#stored = stored
    storage.tenancy.watch({
      // None is this process's.
      onLapsed: () => undefined,
      onLost: () => undefined,
      onFollowed: (threadId) => inBackground({ name: 'ending a lost run', threadId }, stored.sweep(threadId)),
    })
  }

  submit({ threadId }: { threadId: string }): Promise<never> {
    return this.#refuse(threadId)
  }

  post(threadId: string): Promise<never> {
    return this.#refuse(threadId)
  }

  setModel(threadId: string): Promise<never> {
    return this.#refuse(threadId)
  }

  async get(threadId: string): Promise<never> {
    await this.view(threadId)
    return await this.#refuse(threadId)
  }

  delete(threadId: string): Promise<never> {
    return this.get(threadId)
  }

  async find(): Promise<undefined> {
    return undefined
  }

  async view(threadId: string): Promise<ThreadView> {
    const view = await this.#stored.view(threadId)
    if (view !== undefined) return view
    throw new RunnerError('not_found', `No thread "${threadId}" is known.`)
  }

  all(): Promise<ThreadView[]> {
    return this.#stored.all(() => false)
  }

  /** Returns nothing, because no thread lives here. */
  list(): [] {
    return []
  }

  arrived(threadId: string, signal: AbortSignal): Promise<void> {
    return this.#stored.arrived(threadId, signal)
  }

  leave(): void {
    // No run is sent to this process.
  }

  return(): void {
    // No run ends here with its sender.
  }

  async settled(): Promise<void> {
    // A deletion in Redis is one step, so there is nothing to wait for.
  }

  async #refuse(threadId: string): Promise<never> {
    throw await this.#storage.tenancy.whereabouts(threadId)
  }
}
