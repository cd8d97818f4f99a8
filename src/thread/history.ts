import type { Message, UserMessage } from '@ag-ui/core'
import { RunnerError } from '../errors.ts'
import { type Digests, messageDigestOf, REFUSED } from './digests.ts'
import { unsteeredId } from './steered-ids.ts'

/** The turn that took a message in. */
export interface TakenIn {
  /** The last seq before the run. */
  turn: number
  /** The agent's place in the conversation at that time; absent when it cannot return there. */
  point?: string | undefined
  /** Index among the messages of that run, from 0; absent in records of an earlier version. */
  nth?: number | undefined
}

/** What a thread remembers about the messages that it has taken in. */
export interface KnownMessages {
  /**
   * Returns the digests of a message's content, separated by blanks: as it was taken in and, if redaction or stored media
   * changed it, as it was shown. `undefined` for an unknown message.
   */
  messageDigest(messageId: string): string | undefined
  /** Returns `undefined` for a message that is unknown, queued, or part of the run in progress. */
  messageTurn(messageId: string): TakenIn | undefined
  lastUserMessageId: string | undefined
  /** The ids of the thread's messages, by which a history without a known user message may be its own. */
  heard?: ReadonlySet<string> | undefined
  /** Whether the thread has had a run, which may have failed. */
  hasRun?: boolean
  /** Whether the run answers an interrupt and so needs no new message. */
  isAnswered?: boolean
  /** Other parts of the input that have no effect, in words. */
  skipped?: readonly string[]
  /** The id of the message that the new one replaces, as the client says. */
  replaces?: string | undefined
  /** Whether the history's place is known without its older messages. */
  isPlaced?: boolean
}

/** The turn to take back, with every later one. */
export interface Back {
  turn: number
  point: string
  /** The last user message that stays, as far as the history shows. */
  lastUserMessageId: string | undefined
  /** The messages of the history that the thread keeps. */
  held: Message[]
}

export interface NewMessages {
  /** The new user messages, oldest first. */
  messages: UserMessage[]
  /** Messages to send before them: of the system, and of an assistant that spoke before the thread began. */
  before: Message[]
  /** Ids and digests to remember once the agent has the messages. */
  digests: Digests
  /** The known part of a history that lacks another client's last turns, which its sender then needs. */
  held?: Message[]
  /** The place to take the thread back to first, when these messages replace others. */
  back?: Back
}

/** Roles of what an assistant said before the thread began. A result is named with its call. */
const GREETING: ReadonlySet<string> = new Set(['assistant', 'reasoning'])
const SAID: ReadonlySet<string> = new Set(['user', 'system', 'developer'])

/** Returns the ids of the user and system messages, and `another`, each with every id that it may be known by. */
export function everyIdOf(messages: readonly Message[], another: readonly string[] = []): string[] {
  const said = messages.flatMap(({ role, id }) => (SAID.has(role) ? [id] : []))
  const ids = [...said, ...another].flatMap((id) => [id, unsteeredId(id)])
  return [...new Set(ids)]
}

/** Returns the id that the message was sent with. It may come back with that one or with the shown one. */
function sentId(messageId: string, known: KnownMessages): string {
  const sent = unsteeredId(messageId)
  return known.messageDigest(sent) === undefined ? messageId : sent
}

/**
 * Finds the messages that are new to this thread: the user messages after the last known one.
 *
 * An AG-UI client sends the whole history with every run, while the agent keeps its own. A client may also send only new
 * messages. In both cases nothing is sent to the agent twice, and a history that differs from ours is never ignored
 * silently. Two clients of one thread do not see each other's turns, so a history that only lacks the thread's last turns
 * is accepted. A history that ends with a known message, unchanged or edited, asks for another answer to it: the turn that
 * took it in is taken back with every later one, and the history's part of these turns counts as new.
 *
 * @throws {RunnerError} `history_conflict` when a known message was edited, a new message stands before a known one, an
 * id occurs twice, later messages stand before the message to go back to, or the history holds assistant turns that this
 * thread never had; `regenerate_unsupported` when it ends with a message that the agent cannot return to; `invalid_input`
 * when nothing is new.
 */
export function reconcile(messages: readonly Message[], known: KnownMessages): NewMessages {
  refuseTwice(messages)
  const turn = turnToTakeBack(messages, known)
  if (turn === undefined) return sort(messages, known)
  refuseLater(messages, known)
  const before = knownBefore(turn.turn, messages, known)
  const { held: _held, ...news } = sort(messages, before)
  const first = messages.findIndex(({ id }) => id === news.messages[0]?.id)
  const { lastUserMessageId } = before
  return { ...news, back: { ...turn, lastUserMessageId, held: messages.slice(0, first) } }
}

/** @throws {RunnerError} `history_conflict` when two user messages have one id. */
function refuseTwice(messages: readonly Message[]): void {
  const places = new Map<string, number>()
  for (const [index, { role, id }] of messages.entries()) {
    if (role !== 'user') continue
    const before = places.get(id)
    if (before !== undefined) throw conflict(`messages[${index}] has the id of messages[${before}], "${id}"`)
    places.set(id, index)
  }
}

/**
 * Refuses a history with later messages before the message to go back to. Elsewhere the order is not checked: a queued
 * message was taken in later than its client shows it.
 *
 * @throws {RunnerError} `history_conflict`.
 */
function refuseLater(messages: readonly Message[], known: KnownMessages): void {
  const ids = messages.map(({ role, id }) => (role === 'user' ? sentId(id, known) : undefined))
  const last = ids.at(-1)
  const ends = [last, known.replaces].flatMap((id) => (id === undefined ? [] : (known.messageTurn(id) ?? [])))
  const later = ids.findIndex((id) => {
    const by = id === undefined || id === last ? undefined : known.messageTurn(id)
    return by !== undefined && ends.some((end) => isLater(by, end))
  })
  if (later < 0) return
  const index = messages.length - 1
  throw conflict(
    `messages[${index}] ("${messages[index]?.id}") stands where something earlier stood than messages[${later}] ("${messages[later]?.id}")`,
  )
}

export function isLater(one: TakenIn, other: TakenIn): boolean {
  if (one.turn !== other.turn) return one.turn > other.turn
  return one.nth !== undefined && other.nth !== undefined && one.nth > other.nth
}

/** @throws {RunnerError} `regenerate_unsupported`. */
function turnToTakeBack(
  messages: readonly Message[],
  known: KnownMessages,
): Pick<Back, 'turn' | 'point'> | undefined {
  const { replaces, isAnswered = false } = known
  const last = messages.at(-1)
  if (last?.role !== 'user') return undefined
  // A failed or refused message is no part of the conversation, so there is nothing to take back.
  const ids = [last.id, ...(replaces === undefined ? [] : [replaces])]
    .map((id) => sentId(id, known))
    .filter((id) => known.messageDigest(id)?.startsWith(REFUSED) === false)
  const [first] = ids
  if (first === undefined) return undefined
  const isAsSent = known.messageDigest(first)?.split(' ').includes(messageDigestOf(last.content)) === true
  if (isAnswered && replaces === undefined && isAsSent) return undefined
  if (isAnswered) throw notAgain(first, 'the run also answers what a turn waits for; send one of the two')
  const turns = ids.map((id) => {
    const { turn, point } = known.messageTurn(id) ?? {}
    if (turn !== undefined && point !== undefined) return { turn, point }
    throw notAgain(id, 'it is not answered yet, or nobody knows where the agent stood before it')
  })
  return turns.reduce((earliest, each) => (each.turn < earliest.turn ? each : earliest))
}

/** Returns the knowledge of a thread that has only the turns before this one. */
function knownBefore(turn: number, messages: readonly Message[], known: KnownMessages): KnownMessages {
  const isGone = (id: string): boolean => (known.messageTurn(id)?.turn ?? -1) >= turn
  const kept = messages
    .flatMap(({ role, id }) => (role === 'user' ? [sentId(id, known)] : []))
    .findLast((id) => known.messageTurn(id) !== undefined && !isGone(id))
  // A client may send only the end of the history.
  const lastUserMessageId = kept ?? (turn === 0 ? undefined : known.lastUserMessageId)
  return {
    messageDigest: (id) => (isGone(id) ? undefined : known.messageDigest(id)),
    messageTurn: (id) => (isGone(id) ? undefined : known.messageTurn(id)),
    lastUserMessageId,
    isPlaced: true,
  }
}

function sort(messages: readonly Message[], known: KnownMessages): NewMessages {
  const isRefused = (message: UserMessage, digest: string): boolean => {
    const [mark, ...digests] = known.messageDigest(sentId(message.id, known))?.split(' ') ?? []
    return mark === REFUSED && digests.includes(digest)
  }
  let fresh: { message: UserMessage; digest: string; index: number }[] = []
  const freshDigests = new Map<string, string>()
  let lastKnownIndex = -1
  let newestSeen = false
  for (const [index, message] of messages.entries()) {
    if (message.role !== 'user') continue
    const digest = messageDigestOf(message.content)
    const id = sentId(message.id, known)
    const stored = known.messageDigest(id)
    // A refused message may be corrected under its id.
    const isOpen = stored?.startsWith(REFUSED) === true
    const isKnown = stored !== undefined && !isOpen
    const before = (isKnown ? stored : undefined) ?? freshDigests.get(id)
    if (before === undefined) {
      fresh.push({ message, digest, index })
      freshDigests.set(id, digest)
      continue
    }
    if (!before.split(' ').includes(digest)) {
      throw conflict(`messages[${index}] ("${message.id}") was sent before with other content`)
    }
    if (!isKnown) continue
    lastKnownIndex = index
    newestSeen ||= id === known.lastUserMessageId
  }
  if (lastKnownIndex < 0) lastKnownIndex = lastHeard(messages, known)
  // A client that continues sends its whole history with the refused messages in it. A retry has nothing after them.
  const last = fresh.findLastIndex(({ message, digest }) => !isRefused(message, digest))
  if (last === fresh.length - 1) fresh = fresh.filter(({ message, digest }) => !isRefused(message, digest))
  const [first] = fresh
  const system = newSystem(messages, known)
  if (first === undefined) {
    // These are not kept as known: the last known message must be a user message.
    if (known.isAnswered === true)
      return { messages: [], before: system.map(({ message }) => message), digests: [] }
    const inVain = known.skipped?.length ? ` The run brings ${known.skipped.join(', ')}.` : ''
    const what = 'messages holds no user message this thread has not seen; add one with a new id.'
    throw new RunnerError('invalid_input', `${what}${inVain}`)
  }
  if (first.index < lastKnownIndex) {
    throw conflict(
      `messages[${first.index}] ("${first.message.id}") is new but stands before a known message`,
    )
  }
  const isNew = lastKnownIndex < 0 && known.lastUserMessageId === undefined
  const greetings = isNew ? messages.slice(0, first.index).filter(({ role }) => GREETING.has(role)) : []
  const isGreeted = greetings.length > 0 && messages.findIndex(({ role }) => role === 'user') >= first.index
  if (lastKnownIndex < 0 && known.isPlaced !== true)
    refuseForeignTurns(isGreeted ? messages.slice(first.index) : messages, first.index, known)
  return {
    messages: fresh.map(({ message }) => message),
    before: [...system.map(({ message }) => message), ...(isGreeted ? greetings : [])],
    // The last entry is the last user message.
    digests: [...system, ...fresh].map(({ message, digest }) => [message.id, digest]),
    ...(lastKnownIndex < 0 || newestSeen ? {} : { held: messages.slice(0, first.index) }),
  }
}

/** Finds the thread's last answer in a history. Some clients keep the answers and not what they have asked (AG-UI's C++ SDK). */
function lastHeard(messages: readonly Message[], { heard, lastUserMessageId }: KnownMessages): number {
  if (heard === undefined || lastUserMessageId === undefined) return -1
  return messages.findLastIndex(({ role, id }) => !SAID.has(role) && heard.has(id))
}

/** Returns the system messages that the thread does not know with this content. */
function newSystem(
  messages: readonly Message[],
  known: KnownMessages,
): { message: Message; digest: string }[] {
  return messages.flatMap((message) => {
    if (message.role !== 'system' && message.role !== 'developer') return []
    const digest = messageDigestOf(message.content)
    return known.messageDigest(message.id) === digest ? [] : [{ message, digest }]
  })
}

/**
 * Refuses assistant turns that this thread never had: their client believes in another conversation. A thread whose runs have
 * all failed knows none of their messages, and its clients hold what those runs have said.
 */
function refuseForeignTurns(messages: readonly Message[], firstNew: number, known: KnownMessages): void {
  const foreign = messages.findIndex((message) => message.role === 'assistant')
  if (foreign < 0 || (known.hasRun === true && known.lastUserMessageId === undefined)) return
  throw conflict(
    known.lastUserMessageId === undefined
      ? `messages[${foreign}] is an assistant's turn, but this thread has none yet`
      : `messages[${firstNew}] is new and none of the user messages before it is known here`,
  )
}

/** Creates the error for a message that the conversation cannot go back to. */
export function notAgain(messageId: string, why: string): RunnerError {
  return new RunnerError(
    'regenerate_unsupported',
    `This thread cannot be taken back to before message "${messageId}": ${why}. Send a new message, or use a new threadId.`,
  )
}

function conflict(what: string): RunnerError {
  return new RunnerError(
    'history_conflict',
    `The history sent is not this thread's: ${what}. Send the history as it was streamed, or only the new message, or use a new threadId.`,
  )
}
