import type { ChildProcess } from 'node:child_process'
import type { Workshop } from './workshop.ts'

export type ReadersRequest =
  | { type: 'read'; url: string; readers: number; stoppedReaders: number }
  | { type: 'release' }

export type ReadersAnswer = { type: 'connected' } | { type: 'done'; deltas: number[]; bytes: number }

export interface Delivery {
  /** Text deltas, per reader. */
  deltas: number[]
  bytes: number
}

/** Readers in a process of their own; one batch of them at a time. */
export class Readers {
  readonly #child: ChildProcess

  constructor(workshop: Workshop) {
    this.#child = workshop.child(new URL('./readers-process.ts', import.meta.url))
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /**
   * Resolves when all of them have the head of their answer.
   *
   * @param stoppedReaders so many more take the head and then nothing, until `release`.
   */
  async connect(url: string, readers: number, stoppedReaders = 0): Promise<{ done: Promise<Delivery> }> {
    const connected = this.#next('connected')
    const done = this.#next('done')
    this.#send({ type: 'read', url, readers, stoppedReaders })
    await connected
    return { done }
  }

  release(): void {
    this.#send({ type: 'release' })
  }

  #send(request: ReadersRequest): void {
    this.#child.send(request)
  }

  #next<T extends ReadersAnswer['type']>(type: T): Promise<Extract<ReadersAnswer, { type: T }>> {
    return new Promise((resolve, reject) => {
      const onExit = (): void => reject(new Error('the readers ended'))
      const onMessage = (answer: ReadersAnswer): void => {
        if (!isType(answer, type)) return
        this.#child.off('message', onMessage).off('exit', onExit)
        resolve(answer)
      }
      this.#child.on('message', onMessage).once('exit', onExit)
    })
  }
}

function isType<T extends ReadersAnswer['type']>(
  answer: ReadersAnswer,
  type: T,
): answer is Extract<ReadersAnswer, { type: T }> {
  return answer.type === type
}
