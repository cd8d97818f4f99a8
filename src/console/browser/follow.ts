import { type Frame, FrameReader } from './event-frames.ts'
import { toText } from './fields.ts'

/** Silence longer than this is a line that is dead: the server's keep-alive comes every 15 s. */
const SILENCE_MS_MAX = 45_000
const RETRY_MS_MIN = 250
const RETRY_MS_MAX = 2000

export type Link =
  | { state: 'connecting' }
  | { state: 'live' }
  /** Tried again by itself. */
  | { state: 'lost'; reason: string }
  /** Given up: the thread is gone, or the door is shut. */
  | { state: 'ended'; reason: string }

export interface FollowOptions {
  /** The thread's records behind this seq. Rejects with a `Refusal` when the server does not want to. */
  open(after: number, signal: AbortSignal): Promise<Response>
  /** Records, each once and in order. */
  onRecords(records: readonly Frame[]): void
  /** Retention has dropped what was asked for; the next record is `oldest`. */
  onExpired(oldest: number): void
  onLink(link: Link): void
  /** Resolves when it makes sense to try again; at the latest after `ms`. */
  pause(ms: number, signal: AbortSignal): Promise<void>
  signal: AbortSignal
  silenceMsMax?: number
}

/** An answer that is no stream. */
export class Refusal extends Error {
  readonly status: number
  readonly code: string
  readonly details: unknown

  constructor(
    status: number,
    { code, message, details }: { code: string; message: string; details?: unknown },
  ) {
    super(message)
    this.status = status
    this.code = code
    this.details = details
  }
}

/** A thread's log from its beginning for as long as `signal` allows, over as many connections as that takes. */
export async function follow(options: FollowOptions): Promise<void> {
  const { signal, onLink, pause } = options
  const position = { after: 0 }
  let retryMs = RETRY_MS_MIN
  onLink({ state: 'connecting' })
  while (!signal.aborted) {
    const before = position.after
    const end = await readOnce(options, position)
    if (signal.aborted) return
    if (end.isFinal) return onLink({ state: 'ended', reason: end.reason })
    if (end.isExpired) continue
    onLink({ state: 'lost', reason: end.reason })
    retryMs = position.after > before ? RETRY_MS_MIN : Math.min(retryMs * 2, RETRY_MS_MAX)
    await pause(retryMs, signal)
  }
}

interface End {
  reason: string
  isFinal?: boolean
  isExpired?: boolean
}

async function readOnce(options: FollowOptions, position: { after: number }): Promise<End> {
  const { open, signal, silenceMsMax = SILENCE_MS_MAX } = options
  const silence = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  const heard = (): void => {
    clearTimeout(timer)
    timer = setTimeout(() => silence.abort(new Error('Nothing was heard for too long.')), silenceMsMax)
  }
  heard()
  try {
    const response = await open(position.after, AbortSignal.any([signal, silence.signal]))
    options.onLink({ state: 'live' })
    await readAll(response, heard, options, position)
    return { reason: 'The server ended the stream.' }
  } catch (error) {
    return toEnd(error, options, position)
  } finally {
    clearTimeout(timer)
  }
}

async function readAll(
  response: Response,
  heard: () => void,
  { onRecords }: FollowOptions,
  position: { after: number },
): Promise<void> {
  const reader = response.body?.getReader()
  if (reader === undefined) throw new Error('The answer has no body.')
  const decoder = new TextDecoder()
  const frames = new FrameReader()
  try {
    while (true) {
      const { value, done } = await reader.read()
      if (done) return
      heard()
      tell(frames.read(decoder.decode(value, { stream: true })), onRecords, position)
    }
  } finally {
    // What is left unread must not hold a connection.
    reader.cancel().catch(() => undefined)
  }
}

/** What came before a hole, or before an error, is told too: `position` stands behind it. */
function tell(
  frames: readonly Frame[],
  onRecords: FollowOptions['onRecords'],
  position: { after: number },
): void {
  const records: Frame[] = []
  try {
    for (const frame of frames) if (isNext(frame, position)) records.push(frame)
  } finally {
    if (records.length > 0) onRecords(records)
  }
}

/** Whether the record is to be told. One that leaves a hole ends the connection: the next asks for what is missing. */
function isNext({ seq, event }: Frame, position: { after: number }): boolean {
  if (seq === undefined) throw new Error(toText(event['message']) ?? 'The stream ended with an error.')
  if (seq <= position.after) return false
  if (seq !== position.after + 1) throw new Error(`Record ${position.after + 1} is missing.`)
  position.after = seq
  return true
}

function toEnd(error: unknown, { onExpired }: FollowOptions, position: { after: number }): End {
  const reason = error instanceof Error ? error.message : String(error)
  if (!(error instanceof Refusal)) return { reason }
  if (error.code === 'replay_expired') {
    const oldest = oldestSeq(error.details)
    if (oldest === undefined || oldest - 1 <= position.after) return { reason }
    position.after = oldest - 1
    onExpired(oldest)
    return { reason, isExpired: true }
  }
  // The door, and what is not there; anything else may pass.
  return { reason, isFinal: [401, 403, 404].includes(error.status) }
}

function oldestSeq(details: unknown): number | undefined {
  return typeof details === 'object' &&
    details !== null &&
    'oldestSeq' in details &&
    typeof details.oldestSeq === 'number'
    ? details.oldestSeq
    : undefined
}
