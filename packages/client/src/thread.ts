import type { Context, Message, ResumeEntry, UserMessage } from '@ag-ui/core'
import type { LogRecord, RunnerEvent } from './events.ts'
import { type Connection, follow, type Group, type LineOptions } from './follow.ts'
import { newId } from './new-id.ts'
import { pause } from './pause.ts'
import { isPassing, Refusal } from './refusal.ts'
import type { Requests, Ticket } from './requests.ts'
import { endOf, Run, type RunLine } from './run.ts'
import { isThreadDescription, type ThreadDescription } from './thread-description.ts'
import type { ClientTool } from './tools.ts'
import { toObject, toText } from './values.ts'

/** How long a run is offered to a runner that does not answer, for one that is just starting. */
const SEND_MS_MAX = 60_000
const RETRY_MS_MIN = 250
const RETRY_MS_MAX = 2000

/** `steer`: into the running turn. `queue`: as a run of its own behind it. */
export type Delivery = 'steer' | 'queue'

export interface RunRequest {
  /** The content of a user message. */
  content?: UserMessage['content']
  /** Messages before it: results of client tools, or the history as the client has it. */
  messages?: readonly Message[]
  /** Answers to all open interrupts. */
  resume?: readonly ResumeEntry[]
  tools?: readonly ClientTool[]
  context?: readonly Context[]
  state?: unknown
  forwardedProps?: Readonly<Record<string, unknown>>
  /** Random by default. A run that is offered again under the same id does not start twice. */
  runId?: string
  parentRunId?: string
  /** `0` asks for the form for clients before AG-UI 1.0. */
  protocolVersion?: '1.0' | '0'
  /** How long a runner that cannot be reached is tried, in milliseconds. Default 60,000. */
  sendMsMax?: number
}

export interface FollowOptions extends LineOptions {
  /** Reads the records behind this seq. Default 0, which is all; `(await thread.describe()).lastSeq` reads only new ones. */
  after?: number
  /** Waits for a thread that is not there yet, instead of being refused. */
  wait?: boolean
  protocolVersion?: '1.0' | '0'
}

export interface ConnectOptions extends LineOptions {
  /** Ends after the snapshot, or after the run that is under way. */
  until?: 'run'
  protocolVersion?: '1.0' | '0'
}

export interface Accepted {
  messageId: string
  /** What became of the message; `run` when nothing was running. */
  delivery: Delivery | 'run'
  runId: string | undefined
}

/** One thread of a runner: a conversation and its log. */
export class Thread {
  readonly threadId: string
  readonly #runner: Requests
  readonly #path: string
  /** The last record that was read here: a run that is started later begins behind it. */
  #seen = 0

  /** @throws {TypeError} for an id that a path cannot hold. */
  constructor(runner: Requests, threadId: string) {
    // A half of a surrogate pair has no encoding.
    if (['', '.', '..'].includes(threadId) || /\p{Surrogate}/u.test(threadId))
      throw new TypeError(`"${threadId}" cannot stand in a path; give the thread another id.`)
    this.threadId = threadId
    this.#runner = runner
    this.#path = `sessions/${encodeURIComponent(threadId)}`
  }

  /** What the runner says of the thread. @throws {Refusal} `not_found` before its first run. */
  async describe(signal?: AbortSignal): Promise<ThreadDescription> {
    const response = await this.#runner.request(this.#path, signal === undefined ? {} : { signal })
    const body: unknown = await response.json()
    if (!isThreadDescription(body)) throw new Error(`The answer to GET ${this.#path} is no thread.`)
    return body
  }

  /**
   * Yields the records of the thread, each once and in order, and goes on with those to come until `signal` is aborted.
   *
   * A lost connection is opened again.
   *
   * @throws {RangeError} for an `after` that is no seq; {Refusal} `not_found`, `unauthorized` and the like.
   */
  async *follow(options: FollowOptions = {}): AsyncGenerator<LogRecord, void, void> {
    const { after = 0 } = options
    if (!Number.isInteger(after) || after < 0) throw new RangeError(`after is a seq from 0 on, not ${after}.`)
    const open = (behind: number | undefined, signal: AbortSignal): Promise<Connection> =>
      this.#openEvents(behind ?? after, signal, options)
    for await (const { seq = after, events } of follow(open, after, options)) {
      this.#seen = Math.max(this.#seen, seq)
      for (const event of events) yield { seq, event }
    }
  }

  /**
   * Yields a snapshot of the messages, then what is open, then live events: for a page that knows nothing of the thread.
   * The events are a legal AG-UI stream, even over lost connections.
   *
   * @throws {Refusal} as `follow`.
   */
  async *connect(options: ConnectOptions = {}): AsyncGenerator<RunnerEvent, void, void> {
    const open = async (after: number | undefined, signal: AbortSignal): Promise<Connection> => {
      if (after !== undefined) return await this.#openEvents(after, signal, options)
      const query = queryOf(options)
      return { response: await this.#stream('connect', query, signal), isWhole: isWhole(options) }
    }
    for await (const { events } of follow(open, undefined, options)) {
      yield* events
      if (options.until === 'run' && events.some((event) => endOf(event) !== undefined)) return
    }
  }

  /**
   * Starts a run; resolves when the runner has accepted it. A runner that cannot be reached is tried again, and the run
   * starts once. `signal` ends the reading, not the run; `interrupt()` stops the run.
   *
   * @throws {Refusal} `thread_busy`, `interrupt_open`, `run_exists`, `invalid_input` and the like.
   */
  async run(request: RunRequest, line: LineOptions = {}): Promise<Run> {
    const { tools = [] } = request
    const runId = request.runId ?? newId()
    const goOn = (messages: readonly Message[], state: unknown = request.state): Promise<RunLine> => {
      const { content: _said, resume: _answered, ...rest } = request
      return this.#start(newId(), { ...rest, messages, state }, line)
    }
    const first = await this.#start(runId, request, line)
    return new Run(runId, { line: first, tools, signal: line.signal, goOn })
  }

  /** Answers all open interrupts; the run that asked goes on as a new one. @throws {Refusal} as `run`. */
  async answer(entries: readonly ResumeEntry[], request: RunRequest = {}, line?: LineOptions): Promise<Run> {
    return await this.run({ ...request, resume: entries }, line)
  }

  /**
   * Puts a message into a thread that may be running. It is sent once only: the runner could not know a repetition from a
   * second message.
   *
   * @throws {Refusal} `queue_full`, `interrupt_open` and the like; {TypeError} when no answer came, and then the message may
   * have arrived.
   */
  async message(content: UserMessage['content'], delivery: Delivery = 'queue'): Promise<Accepted> {
    const response = await this.#runner.send('POST', `${this.#path}/messages`, { content, delivery })
    const said = toObject(await response.json())
    const became = said['delivery']
    return {
      messageId: toText(said['messageId']) ?? '',
      delivery: became === 'run' || became === 'steer' ? became : 'queue',
      runId: toText(said['runId']),
    }
  }

  /** Stops the running turn; its run ends as `cancelled`. Returns whether there was one. @throws {Refusal} `not_found`. */
  async interrupt(): Promise<boolean> {
    const response = await this.#runner.send('POST', `${this.#path}/interrupt`, {})
    return toObject(await response.json())['interrupted'] === true
  }

  /** Names the thread, for all clients. @throws {Refusal} `invalid_input`, `not_found`. */
  async rename(title: string): Promise<void> {
    await this.#runner.send('PATCH', this.#path, { title })
  }

  /** Sets the order of the waiting runs, the next one first; names all of them. @throws {Refusal} `queue_changed`, `not_found`. */
  async orderQueue(runIds: readonly string[]): Promise<void> {
    await this.#runner.send('PUT', `${this.#path}/queue`, { runIds })
  }

  /** Takes a waiting run out of the queue. It ends as `cancelled` when its turn comes. @throws {Refusal} `not_found`. */
  async withdraw(runId: string): Promise<void> {
    await this.#runner.request(`${this.#path}/queue/${encodeURIComponent(runId)}`, { method: 'DELETE' })
  }

  /** Stops the thread and deletes it with its log. @throws {Refusal} `not_found`. */
  async delete(): Promise<void> {
    await this.#runner.request(this.#path, { method: 'DELETE' })
    this.#seen = 0
  }

  /** A ticket for a stream of this thread. @throws {Refusal} */
  async ticket(options: { ttlMs?: number } = {}): Promise<Ticket> {
    return await this.#runner.ticket(this.threadId, options)
  }

  /** The address of the thread's records for an EventSource, which sends no header. It is valid for one connection. */
  async eventsAddress({ after = 0, ttlMs }: { after?: number; ttlMs?: number } = {}): Promise<string> {
    const { ticket } = await this.ticket(ttlMs === undefined ? {} : { ttlMs })
    const query = new URLSearchParams({ after: String(after), ticket })
    return this.#runner.address(`${this.#path}/events?${query}`)
  }

  async #start(runId: string, request: RunRequest, line: LineOptions): Promise<RunLine> {
    line.signal?.throwIfAborted()
    const behind = this.#seen
    const leaving = new AbortController()
    const leave = (): void => leaving.abort()
    line.signal?.addEventListener('abort', leave, { once: true })
    const letGo = (): void => {
      line.signal?.removeEventListener('abort', leave)
      leave()
    }
    try {
      const answer = await this.#offer(this.#inputOf(runId, request), request, line, leaving.signal)
      const options = { ...line, signal: leaving.signal }
      return { groups: this.#readRun(runId, { answer, behind }, request, options), leave: letGo }
    } catch (error) {
      letGo()
      throw error
    }
  }

  #inputOf(runId: string, request: RunRequest): Record<string, unknown> {
    const { content, messages = [], tools = [], context = [], state = {}, protocolVersion = '1.0' } = request
    const said = content === undefined ? [] : [{ id: newId(), role: 'user', content }]
    return {
      threadId: this.threadId,
      runId,
      ...(request.parentRunId === undefined ? {} : { parentRunId: request.parentRunId }),
      ...(protocolVersion === '0' ? {} : { protocolVersion }),
      state,
      messages: [...messages, ...said],
      tools: tools.map(({ execute: _ours, ...tool }) => tool),
      context,
      // A lost connection is not a stop, whatever the runner's AGUI_ON_DISCONNECT says.
      forwardedProps: { ...request.forwardedProps, onDisconnect: 'continue' },
      ...(request.resume === undefined ? {} : { resume: request.resume }),
    }
  }

  /** The runner's answer; undefined when the runner accepted the run and the answer was lost. */
  async #offer(
    input: Record<string, unknown>,
    request: RunRequest,
    line: LineOptions,
    signal: AbortSignal,
  ): Promise<Response | undefined> {
    const { retryMsMin = RETRY_MS_MIN, retryMsMax = RETRY_MS_MAX } = line
    const until = Date.now() + (request.sendMsMax ?? SEND_MS_MAX)
    let isOurs = request.runId === undefined
    for (let retryMs = retryMsMin; ; retryMs = Math.min(retryMs * 2, retryMsMax)) {
      try {
        return await this.#runner.send('POST', '', input, signal)
      } catch (error) {
        if (isOurs && isTaken(error, input['runId'])) return undefined
        if (signal.aborted || !isPassing(error)) throw error
        const waitMs = Math.max(retryMs, error instanceof Refusal ? error.retryAfterMs : 0)
        if (Date.now() + waitMs > until) throw error
        // From here on it may have been taken in already.
        isOurs = true
        await pause(waitMs, signal)
      }
    }
  }

  async *#readRun(
    runId: string,
    { answer, behind }: { answer: Response | undefined; behind: number },
    request: RunRequest,
    line: LineOptions,
  ): AsyncGenerator<Group, void, void> {
    let first = answer
    let isInside = answer !== undefined
    let start = behind
    const open = async (after: number | undefined, signal: AbortSignal): Promise<Connection> => {
      const response = first
      first = undefined
      if (response !== undefined) return { response, isWhole: false }
      if (after !== undefined) return await this.#openEvents(after, signal, request)
      // Nothing of the run was read yet, so its start is looked for; from the first record when the thread is a new one.
      isInside = false
      return await this.#openEvents(start, signal, request).catch((error: unknown) => {
        if (start === 0 || !(error instanceof Refusal) || error.status !== 410) throw error
        start = 0
        throw new Error(error.message)
      })
    }
    for await (const group of follow(open, undefined, line)) {
      this.#seen = Math.max(this.#seen, group.seq ?? 0)
      isInside ||= group.events.some((event) => event.type === 'RUN_STARTED' && event.runId === runId)
      if (isInside) yield group
    }
  }

  async #openEvents(
    after: number,
    signal: AbortSignal,
    options: { wait?: boolean; protocolVersion?: '1.0' | '0' },
  ): Promise<Connection> {
    const query = queryOf(options)
    query.set('after', String(after))
    if (options.wait === true) query.set('wait', 'true')
    return { response: await this.#stream('events', query, signal), isWhole: isWhole(options) }
  }

  async #stream(name: string, query: URLSearchParams, signal: AbortSignal): Promise<Response> {
    const { threadId } = this
    return await this.#runner.stream(`${this.#path}/${name}`, { threadId, query, signal })
  }
}

/** The form for older clients leaves records out, so a missing seq means nothing there. */
function isWhole({ protocolVersion }: { protocolVersion?: '1.0' | '0' }): boolean {
  return protocolVersion !== '0'
}

function queryOf({ protocolVersion }: { protocolVersion?: '1.0' | '0' }): URLSearchParams {
  return new URLSearchParams(protocolVersion === '0' ? { protocolVersion } : {})
}

function isTaken(error: unknown, runId: unknown): boolean {
  if (!(error instanceof Refusal)) return false
  if (error.code === 'run_exists') return true
  return error.code === 'thread_busy' && toObject(error.details)['runId'] === runId
}
