import { z } from 'zod'
import type { Storage } from '../storage/storage.ts'

/** Schema of the stored progress. */
const Pushed = z.object({
  /** The seq after which the next process reads the log. */
  restart: z.number(),
  /** The last record of which something was pushed, and how many of its pushes were made. */
  seq: z.number(),
  parts: z.number(),
  /** The control plane's own seq of the last message that it acknowledged. */
  acknowledged: z.number(),
})
export type Pushed = z.infer<typeof Pushed>

export const NOTHING_PUSHED: Pushed = { restart: 0, seq: 0, parts: 0, acknowledged: 0 }

/** The stored progress of the link on a thread. */
export class Progress {
  readonly #storage: Storage
  readonly #threadId: string

  constructor(storage: Storage, threadId: string) {
    this.#storage = storage
    this.#threadId = threadId
  }

  async pushed(): Promise<Pushed> {
    return Pushed.safeParse(await this.#get('pushed')).data ?? NOTHING_PUSHED
  }

  async savePushed(pushed: Pushed): Promise<void> {
    await this.#put('pushed', pushed)
  }

  /** Returns the seq of the control plane's last accepted message; undefined when none was saved. */
  async accepted(): Promise<number | undefined> {
    return z.number().safeParse(await this.#get('accepted')).data
  }

  /** Saves the seq; resolves when it is on disk. */
  async saveAccepted(seq: number): Promise<void> {
    await this.#put('accepted', seq)
    await this.#storage.flushed()
  }

  async #get(what: string): Promise<unknown> {
    return await this.#storage.tables.workspace.get(keyOf(this.#threadId, what))
  }

  async #put(what: string, value: unknown): Promise<void> {
    const key = keyOf(this.#threadId, what)
    await this.#storage.commit({
      threadId: 'workspace',
      writes: [{ table: 'workspace', key, value }],
      isLast: true,
    })
  }
}

/** Returns the key of an entry. The table belongs to no thread, so the key names the thread. */
function keyOf(threadId: string, what: string): readonly [string] {
  return [`platform-link ${what} ${threadId}`]
}
