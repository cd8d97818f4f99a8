import { inBackground } from '../background.ts'
import { isCode } from '../errors.ts'
import { checkAuthorities } from '../grpc/channel.ts'
import type { LinkSettings } from '../link-settings.ts'
import type { ProxySettings } from '../proxy-settings.ts'
import type { Redactor } from '../redaction/redactor.ts'
import type { Storage } from '../storage/storage.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Threads } from '../thread/threads.ts'
import { within } from '../within.ts'
import type { Pace } from './back-off.ts'
import { CursorFile } from './cursor-file.ts'
import { Delivery } from './delivery.ts'
import { Inbox } from './inbox.ts'
import { LinkFailure } from './link-failure.ts'
import { LinkState, type LinkStateName } from './link-state.ts'
import { LinkTokens } from './link-tokens.ts'
import { MessageServer } from './message-server.ts'
import { Outbox } from './outbox.ts'
import { Progress } from './progress.ts'
import type { SessionMessage } from './protocol.ts'

export interface PlatformLinkOptions {
  settings: LinkSettings
  /** Absolute path. */
  workspace: string
  proxies: ProxySettings
  /** PEM files that every TLS connection of this process trusts: the sandbox's own authority. */
  caFiles: readonly string[]
  storage: Storage
  threads: Pick<Threads, 'submit' | 'view'>
  redactor: Pick<Redactor, 'redactText'>
  logger: Logger
  /** The prompt that is run beside the link: a message that is part of it is not run again. */
  firstPrompt: string | undefined
  /** Time limit for pushing the rest when the runner stops, in milliseconds. */
  flushMs: number
  times?: LinkTimes
}

/** Durations in milliseconds. */
interface LinkTimes {
  retry: Pace
  call: number
  look: number
  watch: number
}

const TIMES: LinkTimes = { retry: { first: 1000, longest: 30_000 }, call: 10_000, look: 2000, watch: 60_000 }
/** Milliseconds by which a message must be older than the start to count as sent before it. */
const BEFORE_START_MS = 5000

export interface PlatformLink {
  /** Starts the link. Call when runs can be accepted. */
  start(): void
  state(): { name: LinkStateName; reason: string | undefined }
  /** Returns the number of records of the log that are not pushed yet. */
  behind(): Promise<number>
  /**
   * Accepts no more messages and pushes the rest of the log, within `flushMs`. Call when no run is in progress any
   * more. Safe to call twice.
   */
  close(): Promise<void>
}

/**
 * Opens the link to the session in the control plane. It reads the log and submits runs by the same interfaces as every
 * client.
 *
 * @throws {RunnerError} `config_invalid`.
 */
export async function openPlatformLink(options: PlatformLinkOptions): Promise<PlatformLink> {
  const { settings, storage, logger, times = TIMES } = options
  const { sessionId, tokens: source, messagesCaFile, tokenCaFile } = settings
  const { server: target, useTls } = settings
  const tokens = new LinkTokens({ ...options, source, caFiles: authorities(options.caFiles, tokenCaFile) })
  const server = new MessageServer({
    ...{ ...options, server: target, useTls, sessionId, callMs: times.call },
    caFiles: authorities(options.caFiles, messagesCaFile),
  })
  const progress = new Progress(storage, sessionId)
  const start = await startOf(options, progress)
  const state = new LinkState(logger)
  const common = { server, tokens, state, logger, pace: times.retry }
  const delivery = new Delivery({ ...common, callMs: times.call, lookMs: times.look })
  const outbox = new Outbox({ log: storage.log, threadId: sessionId, progress, delivery, logger })
  const pushing = new AbortController()
  const inbox = new Inbox({
    ...common,
    ...start,
    threadId: sessionId,
    watchMs: times.watch,
    lookMs: times.look,
    submit: (input) => options.threads.submit(input),
    interrupts: () => interruptsOf(options.threads, sessionId),
    reply: (text) => delivery.deliver(assistant(options.redactor.redactText(text)), pushing.signal),
  })
  return new OpenLink({ ...options, inbox, outbox, delivery, tokens, server, state, pushing })
}

interface LinkParts extends Pick<PlatformLinkOptions, 'settings' | 'storage' | 'flushMs' | 'logger'> {
  inbox: Inbox
  outbox: Outbox
  delivery: Delivery
  tokens: LinkTokens
  server: MessageServer
  state: LinkState
  pushing: AbortController
}

class OpenLink implements PlatformLink {
  readonly #parts: LinkParts
  readonly #watching = new AbortController()
  #work: Promise<unknown> = Promise.resolve()
  #isStarted = false
  #closing: Promise<void> | undefined

  constructor(parts: LinkParts) {
    this.#parts = parts
  }

  start(): void {
    if (this.#isStarted) return
    this.#isStarted = true
    const { inbox, outbox, pushing, settings } = this.#parts
    const { sessionId: threadId } = settings
    const watching = this.#follow(inbox.run(this.#watching.signal), this.#watching.signal)
    const pushed = this.#follow(outbox.run(pushing.signal), pushing.signal)
    this.#work = Promise.allSettled([watching, pushed])
    inBackground({ name: 'watching the platform', threadId }, watching)
    inBackground({ name: 'pushing to the platform', threadId }, pushed)
  }

  state(): { name: LinkStateName; reason: string | undefined } {
    const { name, reason } = this.#parts.state
    return { name, reason }
  }

  behind(): Promise<number> {
    return this.#parts.outbox.behind()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { pushing, tokens, server, state } = this.#parts
    this.#watching.abort()
    if (this.#isStarted) await this.#flush()
    pushing.abort()
    tokens.close()
    await this.#work
    server.close()
    state.closed()
  }

  async #flush(): Promise<void> {
    const { outbox, delivery, storage, settings, flushMs, pushing, logger } = this.#parts
    delivery.hurry()
    try {
      const head = await storage.log.head(settings.sessionId)
      await within({ signal: pushing.signal, timeoutMs: flushMs }, (signal) => outbox.reached(head, signal))
    } catch {
      logger.warn('not everything was pushed to the platform; the next start goes on with it')
    }
  }

  /** Waits for one half of the link; its failure ends both halves. Throws unless it is a refusal: that is our fault. */
  async #follow(work: Promise<void>, signal: AbortSignal): Promise<void> {
    try {
      await work
    } catch (error) {
      if (signal.aborted) return
      const isRefused = error instanceof LinkFailure
      this.#parts.state.refused(error instanceof Error ? error.message : String(error))
      this.#watching.abort()
      this.#parts.pushing.abort()
      if (!isRefused) throw error
    }
  }
}

/** Returns the seq after which the inbox goes on, and which messages it skips (control-plane.md 1.6). */
async function startOf(
  { settings, workspace, firstPrompt }: PlatformLinkOptions,
  progress: Progress,
): Promise<{ after: number; isOld(message: SessionMessage): boolean; save(seq: number): Promise<void> }> {
  const { cursorFile, sessionId, isResume, resumeAfterSeq } = settings
  if (cursorFile !== undefined) {
    const cursor = await CursorFile.open({ file: cursorFile, workspace, sessionId, isResume })
    return { after: cursor.seq, isOld: () => false, save: (seq) => cursor.save(seq) }
  }
  const save = (seq: number): Promise<void> => progress.saveAccepted(seq)
  const known = (await progress.accepted()) ?? (isResume ? resumeAfterSeq : undefined)
  if (known !== undefined) return { after: known, isOld: () => false, save }
  const startedAt = Date.now() - BEFORE_START_MS
  let first: number | undefined
  return {
    after: 0,
    save,
    // The prompt that the sandbox was started for is also the first message. Later messages are new, even with the same words.
    // On a resume, all earlier messages are old.
    isOld({ seq, created_at, payload }) {
      first ??= seq
      if (created_at == null || created_at >= startedAt) return false
      return isResume || (seq === first && firstPrompt?.includes(payload.trim()) === true)
    },
  }
}

async function interruptsOf(threads: Pick<Threads, 'view'>, threadId: string) {
  try {
    return (await threads.view(threadId)).interrupts
  } catch (error) {
    if (isCode(error, 'not_found')) return []
    throw error
  }
}

/** Adds the link's own CA file. @throws {RunnerError} `config_invalid` when that file holds no certificate. */
function authorities(common: readonly string[], own: string | undefined): string[] {
  if (own === undefined) return [...common]
  checkAuthorities(own)
  return [...common, own]
}

function assistant(payload: string) {
  return { to: 'messages', type: 'assistant', payload } as const
}
