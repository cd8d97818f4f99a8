import { type Frame, FrameReader } from './event-frames.ts'
import type { RunnerEvent } from './events.ts'
import { pause, TIMER_MS_MAX } from './pause.ts'
import { Refusal } from './refusal.ts'
import { toObject } from './values.ts'

/** A line that is silent for longer is dead: the server's keep-alive comes every 15 s. */
const SILENCE_MS_MAX = 45_000
const RETRY_MS_MIN = 250
const RETRY_MS_MAX = 2000

export type Link =
  | { state: 'connecting' }
  | { state: 'live' }
  /** The next attempt is made after `retryMs` milliseconds. */
  | { state: 'lost'; reason: string; retryMs: number }

export interface LineOptions {
  signal?: AbortSignal
  onLink?: (link: Link) => void
  /** Called when retention has dropped what was asked for; reading goes on at the record `oldest`. Without it, it throws. */
  onExpired?: (oldest: number) => void
  /** A connection that brings no bytes for so many milliseconds is opened again. Default 45,000. */
  silenceMsMax?: number
  /** The first wait after a lost connection, in milliseconds. Default 250; it doubles up to `retryMsMax`, default 2000. */
  retryMsMin?: number
  retryMsMax?: number
}

/** Events that became known together. They are delivered with the seq of the last. */
export interface Group {
  /** Undefined for a stream that the log does not hold, which is that of a run that was steered into another. */
  seq: number | undefined
  events: RunnerEvent[]
}

export interface Connection {
  response: Response
  /** Whether every seq is sent, so that one that is not the next shows a hole. */
  isWhole: boolean
}

/** Opens the stream of the records behind `after`; `after` is undefined while nothing was read. */
export type Open = (after: number | undefined, signal: AbortSignal) => Promise<Connection>

/**
 * Yields the records of a thread, each once and in order, over as many connections as that takes. It ends when `signal`
 * is aborted, or with a group that has no seq.
 *
 * @throws {Refusal} with status 400, 401, 403, 404 or 410, which waiting does not mend.
 */
export async function* follow(
  open: Open,
  start: number | undefined,
  options: LineOptions,
): AsyncGenerator<Group, void, void> {
  const { signal, onLink, onExpired, retryMsMin = RETRY_MS_MIN, retryMsMax = RETRY_MS_MAX } = options
  let after = start
  let retryMs = retryMsMin
  const isOver = (): boolean => signal?.aborted === true
  onLink?.({ state: 'connecting' })
  while (!isOver()) {
    const before = after
    let reason = 'The server ended the stream.'
    let waitMs = 0
    try {
      for await (const group of readOnce(open, after, options)) {
        after = group.seq ?? after
        yield group
        if (group.seq === undefined) return
      }
    } catch (error) {
      if (isOver()) return
      const oldest = oldestOf(error)
      if (oldest !== undefined && onExpired !== undefined) {
        after = oldest - 1
        onExpired(oldest)
        continue
      }
      if (isFinal(error)) throw error
      reason = error instanceof Error ? error.message : String(error)
      waitMs = error instanceof Refusal ? error.retryAfterMs : 0
    }
    if (isOver()) return
    retryMs = after !== before ? retryMsMin : Math.min(retryMs * 2, retryMsMax)
    const restMs = Math.max(retryMs, waitMs)
    onLink?.({ state: 'lost', reason, retryMs: restMs })
    await pause(restMs, signal)
  }
}

/** Reads one connection until it ends. */
async function* readOnce(
  open: Open,
  start: number | undefined,
  { signal, onLink, silenceMsMax = SILENCE_MS_MAX }: LineOptions,
): AsyncGenerator<Group, void, void> {
  const connection = new AbortController()
  const leave = (): void => connection.abort(signal?.reason)
  signal?.addEventListener('abort', leave, { once: true })
  if (signal?.aborted === true) leave()
  const heard = <T>(wait: Promise<T>): Promise<T> => orSilence(wait, connection, silenceMsMax)
  try {
    const { response, isWhole } = await heard(open(start, connection.signal))
    const reader = readerOf(response)
    onLink?.({ state: 'live' })
    const groups = new Groups(start, isWhole)
    const frames = new FrameReader()
    while (true) {
      const { value, done } = await heard(reader.read())
      if (done) break
      for (const frame of frames.read(value)) {
        const group = groups.add(frame)
        if (group !== undefined) yield group
      }
    }
    const unlogged = groups.end()
    if (unlogged !== undefined) yield unlogged
  } finally {
    signal?.removeEventListener('abort', leave)
    // What is left unread must not hold a connection.
    connection.abort()
  }
}

function readerOf({ headers, body }: Response): ReadableStreamDefaultReader<Uint8Array> {
  const type = headers.get('content-type') ?? 'nothing'
  if (body === null || !type.startsWith('text/event-stream'))
    throw new Error(`The answer is no event stream but ${type}.`)
  return body.getReader()
}

/** Rejects when the connection is aborted or silent, even if `wait` does not heed that. */
async function orSilence<T>(wait: Promise<T>, connection: AbortController, ms: number): Promise<T> {
  const { signal } = connection
  const silence = new Error(`Nothing was heard for ${ms} ms.`)
  const timer = setTimeout(() => connection.abort(silence), Math.min(ms, TIMER_MS_MAX))
  let stop = (): void => undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
  })
  try {
    return await Promise.race([wait, aborted])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
}

/** Makes groups of frames. It drops what was delivered already, and throws at a hole. */
class Groups {
  #after: number | undefined
  readonly #isWhole: boolean
  #waiting: RunnerEvent[] = []

  constructor(after: number | undefined, isWhole: boolean) {
    this.#after = after
    this.#isWhole = isWhole
  }

  add({ seq, event }: Frame): Group | undefined {
    this.#waiting.push(event)
    if (seq === undefined) return undefined
    const events = this.#waiting
    this.#waiting = []
    const after = this.#after
    if (after !== undefined && seq <= after) return undefined
    if (after !== undefined && this.#isWhole && seq !== after + 1)
      throw new Error(`Record ${after + 1} is missing.`)
    this.#after = seq
    return { seq, events }
  }

  /** Call when the stream has ended. Throws an error that the stream itself reported; returns a run that the log does not hold. */
  end(): Group | undefined {
    const last = this.#waiting.at(-1)
    if (last?.type === 'RUN_ERROR') throw new Error(last.message)
    return last?.type === 'RUN_FINISHED' ? { seq: undefined, events: this.#waiting } : undefined
  }
}

/** Whether waiting does not mend it: the door is shut, nothing is there, or the request is wrong. */
function isFinal(error: unknown): boolean {
  return error instanceof Refusal && [400, 401, 403, 404, 410].includes(error.status)
}

function oldestOf(error: unknown): number | undefined {
  if (!(error instanceof Refusal) || error.status !== 410) return undefined
  const oldest = toObject(error.details)['oldestSeq']
  return typeof oldest === 'number' ? oldest : undefined
}
