import type { Message, UserMessage } from '@ag-ui/core'
import { RunnerError } from '../errors.ts'
import { type Digests, messageDigestOf, REFUSED } from './digests.ts'
import { untold } from './told-ids.ts'

/** The run that took a message in. */
export interface TakenIn {
  /** The last seq before it. */
  turn: number
  /** Where the agent's conversation stood then; absent when it could not be taken back to there. */
  point?: string | undefined
  /** Of the messages of that run, from 0; absent of what an earlier version has stored. */
  nth?: number | undefined
}

/** What a thread remembers of the messages it has taken in. */
export interface KnownMessages {
  /**
   * Digests of a message's content, apart by a blank: as it was taken in, and as it was shown since, when secrets were
   * redacted or media put out of line. `undefined` for a message that is not known.
   */
  messageDigest(messageId: string): string | undefined
  /** `undefined` for a message that is not known, or waits, or whose run is under way. */
  messageTurn(messageId: string): TakenIn | undefined
  lastUserMessageId: string | undefined
  /** The run answers an interrupt, so it needs no new message. */
  isAnswered?: boolean
  /** What else the run brings in vain, in words. */
  skipped?: readonly string[]
  /** The message in whose stead the client says that its new one stands. */
  replaces?: string | undefined
  /** Where the history belongs is known without its older messages. */
  isPlaced?: boolean
}

/** From where on the conversation is taken back: that turn and all behind it. */
export interface Back {
  turn: number
  point: string
  /** As far as the history says. */
  lastUserMessageId: string | undefined
  /** What of the history is the thread's then. */
  held: Message[]
}

export interface NewMessages {
  /** Oldest first. */
  messages: UserMessage[]
  /** What goes before them: words of the system, and of an assistant that spoke before the thread began. */
  before: Message[]
  /** Ids and digests to remember once the agent has them. */
  digests: Digests
  /** What of the history is the thread's, when it lacks turns at its end, another client's: its sender needs them. */
  held?: Message[]
  /** What the thread is to be taken back to first, since these messages stand where others stood. */
  back?: Back
}

const SAID: ReadonlySet<string> = new Set(['user', 'system', 'developer'])

/** The ids of what a person or the system says in `messages`, and another, each with all it may be known by. */
export function knownIds(messages: readonly Message[], another: readonly string[] = []): string[] {
  const said = messages.flatMap(({ role, id }) => (SAID.has(role) ? [id] : []))
  const ids = [...said, ...another].flatMap((id) => [id, untold(id)])
  return [...new Set(ids)]
}

/** The id that the message was sent with, whichever of the two it comes back with. */
function sentId(messageId: string, known: KnownMessages): string {
  const sent = untold(messageId)
  return known.messageDigest(sent) === undefined ? messageId : sent
}

/**
 * What of `messages` this thread has not seen: the user messages behind the last known one.
 *
 * AG-UI sends the whole history with every run, the agent keeps its own. A client may also send only what is new.
 * Either way nothing is sent to the agent twice, and history that differs from ours is never silently ignored. Two
 * clients of one thread do not see each other's turns: a history that only lacks the thread's last ones is not another
 * one. A history that ends with a known message asks for another answer to it, as it was or edited: the turn that took it
 * in is taken back with all behind it, and what the history has of these turns is new.
 *
 * @throws {RunnerError} `history_conflict` when a known message was edited, a new one stands before a known one, an id
 * comes twice, the conversation is to go back to before a message and holds later ones before that, or the history holds
 * turns of an assistant this thread never had; `regenerate_unsupported` when it ends with a message
 * that cannot be gone back to; `invalid_input` when nothing is new.
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

/** @throws {RunnerError} `history_conflict`: two messages of a person have one id. */
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
 * What stands before the message to go back to was said before it. Elsewhere the order is not looked at: what waited was said
 * later than its client has it.
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

function isLater(one: TakenIn, other: TakenIn): boolean {
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
  // What failed or was refused is no part of the conversation: nothing is to be taken back.
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

/** What a thread knows that has only the turns before this one. */
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
    // What was refused may be mended under its id.
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
  // A client that goes on sends its whole history, the refused words in it; one that tries again sends nothing behind.
  const last = fresh.findLastIndex(({ message, digest }) => !isRefused(message, digest))
  if (last === fresh.length - 1) fresh = fresh.filter(({ message, digest }) => !isRefused(message, digest))
  const [first] = fresh
  const system = newSystem(messages, known)
  if (first === undefined) {
    // Not kept as known: what is kept last is the person's last message.
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
  const greetings = isNew ? messages.slice(0, first.index).filter(({ role }) => role === 'assistant') : []
  const isGreeted = greetings.length > 0 && messages.findIndex(({ role }) => role === 'user') >= first.index
  if (lastKnownIndex < 0 && known.isPlaced !== true)
    refuseForeignTurns(isGreeted ? messages.slice(first.index) : messages, first.index, known)
  return {
    messages: fresh.map(({ message }) => message),
    before: [...system.map(({ message }) => message), ...(isGreeted ? greetings : [])],
    // The last is the last user message.
    digests: [...system, ...fresh].map(({ message, digest }) => [message.id, digest]),
    ...(lastKnownIndex < 0 || newestSeen ? {} : { held: messages.slice(0, first.index) }),
  }
}

/** What the system says that the thread does not know in these words. */
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

/** A client that sends an assistant's turns believes in a conversation; it must be the one this thread had. */
function refuseForeignTurns(messages: readonly Message[], firstNew: number, known: KnownMessages): void {
  const foreign = messages.findIndex((message) => message.role === 'assistant')
  if (foreign < 0) return
  throw conflict(
    known.lastUserMessageId === undefined
      ? `messages[${foreign}] is an assistant's turn, but this thread has none yet`
      : `messages[${firstNew}] is new and none of the user messages before it is known here`,
  )
}

/** The conversation cannot go back to before this message. */
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
