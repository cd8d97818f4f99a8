import { type Blob, type Blobs, decodeBlob, encodeBlob } from '../blob.ts'
import { keyText, type Store } from './store.ts'
import type { ClaimedWrite, Codec, StoreTable } from './store-table.ts'

export interface LmdbBlobsOptions {
  store: Store
  /** Size of all blobs in bytes above which a new blob replaces its thread's oldest ones. */
  retentionBytes: number
}

const BLOBS = 'blobs'

const CODEC: Codec<Blob> = { encode: encodeBlob, decode: decodeBlob }

export class LmdbBlobs implements Blobs {
  readonly #blobs: StoreTable<Blob, [thread: string, id: string]>
  readonly #options: LmdbBlobsOptions

  constructor(options: LmdbBlobsOptions) {
    this.#options = options
    this.#blobs = options.store.table(BLOBS, CODEC)
  }

  /** Yields the removals that make room for a blob, then its write. */
  *claims(threadId: string, { id, ...blob }: Blob & { id: string }): Generator<() => ClaimedWrite> {
    const { length } = blob.bytes
    const { store, retentionBytes } = this.#options
    if (store.usedBytes(BLOBS) + length > retentionBytes) yield* this.#removals(threadId, length)
    yield () => this.#blobs.claimPut([keyText(threadId), id], blob)
  }

  async get(threadId: string, id: string): Promise<Blob | undefined> {
    return this.#blobs.get([keyText(threadId), id])
  }

  /** Yields removals of the thread's own oldest blobs, of at least `bytes` bytes if it has so many. */
  *#removals(threadId: string, bytes: number): Generator<() => ClaimedWrite> {
    let left = bytes
    for (const { key, bytes: stored } of this.#blobs.getStored(range(threadId))) {
      if (left <= 0) return
      left -= stored
      yield () => this.#blobs.claimRemoval(key)
    }
  }

  /** Removes a thread's blobs. @throws {RunnerError} `storage_full`. */
  async drop(threadId: string): Promise<void> {
    await this.#blobs.removeAll(range(threadId))
  }
}

function range(threadId: string): { start: [string, string]; end: [string, string] } {
  return { start: [keyText(threadId), ''], end: [keyText(threadId), '\uffff'] }
}
