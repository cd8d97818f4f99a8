import { createHash } from 'node:crypto'
import type { Message, UserMessage } from '@ag-ui/core'
import { describe, expect, test } from 'vitest'
import { RunnerError } from '../../src/errors.ts'
import { type KnownMessages, type NewMessages, reconcile, type TakenIn } from '../../src/thread/history.ts'

const user = (id: string, content: UserMessage['content'] = `words of ${id}`): UserMessage => ({
  id,
  role: 'user',
  content,
})
const assistant = (id: string): Message => ({ id, role: 'assistant', content: `answer ${id}` })
const tool = (id: string): Message => ({ id, role: 'tool', toolCallId: 'c', content: 'x' })

/** A thread that remembers as the session does: what a run took in, when it did not fail. */
class Thread implements KnownMessages {
  readonly #digests = new Map<string, string>()
  readonly #turns = new Map<string, TakenIn>()
  #turn = 0
  lastUserMessageId: string | undefined
  isAnswered?: boolean
  replaces?: string

  messageDigest(messageId: string): string | undefined {
    return this.#digests.get(messageId)
  }

  messageTurn(messageId: string): TakenIn | undefined {
    return this.#turns.get(messageId)
  }

  take(...messages: Message[]): string[] {
    const { messages: fresh, digests } = this.sort(...messages)
    const turn = {
      turn: this.#turn,
      ...(messages.at(-1)?.id === 'pointless' ? {} : { point: `p${this.#turn}` }),
    }
    for (const [nth, [id, digest]] of digests.entries()) {
      this.#digests.set(id, digest)
      this.#turns.set(id, { ...turn, nth })
    }
    this.#turn += 1
    this.lastUserMessageId = digests.at(-1)?.[0]
    return fresh.map(({ id }) => id)
  }

  sort(...messages: Message[]): NewMessages {
    return reconcile(messages, this)
  }

  refusal(...messages: Message[]): { code: string; message: string } {
    try {
      this.sort(...messages)
    } catch (error) {
      if (error instanceof RunnerError) return { code: error.code, message: error.message }
      throw error
    }
    throw new Error('it was not refused')
  }
}

/** Two turns were had: u1, a1, u2, a2. */
function talked(): Thread {
  const thread = new Thread()
  thread.take(user('u1'))
  thread.take(user('u1'), assistant('a1'), user('u2'))
  return thread
}

describe('a message that was put into a running turn', () => {
  const told = (id: string) => user(`${id}:steered`, `words of ${id}`)

  test.each([
    ['as it was sent', [user('u2')]],
    ['as readers are told it', [told('u2')]],
    ['both ways', [user('u2'), told('u2')]],
  ])('is known %s', (_how, held) => {
    expect(talked().take(user('u1'), ...held, user('u3'))).toEqual(['u3'])
  })

  test('is not to be edited either', () => {
    expect(talked().refusal(user('u1'), user('u2:steered', 'other words'), user('u3')).code).toBe(
      'history_conflict',
    )
  })

  test('what only looks like one is a message like any other', () => {
    expect(talked().take(user('u1'), user('u2'), told('new'))).toEqual(['new:steered'])
  })
})

describe('a new thread', () => {
  test('takes every user message, oldest first', () => {
    expect(new Thread().take(user('u1'), user('u2'))).toEqual(['u1', 'u2'])
  })

  test('leaves out what is no user message', () => {
    const system: Message = { id: 's', role: 'system', content: 'be nice' }
    expect(new Thread().take(system, user('u1'), { ...system, id: 'd', role: 'developer' })).toEqual(['u1'])
  })

  test("refuses an assistant's turns: it has had none", () => {
    expect(new Thread().refusal(user('u1'), assistant('a1'), user('u2'))).toMatchObject({
      code: 'history_conflict',
      message: expect.stringContaining('messages[1]'),
    })
  })

  // With @ag-ui/client 1.0.0 a conversation whose first run failed in the middle was refused for ever.
  test('takes the answers of its runs when all have failed', () => {
    const failed = Object.assign(new Thread(), { hasRun: true })
    expect(failed.take(user('u1'), assistant('a1'), tool('r1'), user('u2'))).toEqual(['u1', 'u2'])
    expect(failed.refusal(user('x'), assistant('a1'), user('y')).code).toBe('history_conflict')
  })

  test.each<[string, Message[]]>([
    ['nothing', []],
    ['no user message', [{ id: 's', role: 'system', content: 'x' }]],
  ])('refuses %s: there is nothing to answer', (_what, messages) => {
    expect(new Thread().refusal(...messages).code).toBe('invalid_input')
  })
})

describe('a thread that was talked on', () => {
  test('takes only what is new of the whole history', () => {
    expect(talked().take(user('u1'), assistant('a1'), user('u2'), assistant('a2'), user('u3'))).toEqual([
      'u3',
    ])
  })

  test('takes several new messages at once', () => {
    expect(talked().take(user('u1'), user('u2'), user('u3'), user('u4'))).toEqual(['u3', 'u4'])
  })

  test('takes the new message of a client that sends nothing else', () => {
    expect(talked().take(user('u3'))).toEqual(['u3'])
  })

  test('takes a history that is cut at its beginning', () => {
    expect(talked().take(assistant('a1'), user('u2'), assistant('a2'), user('u3'))).toEqual(['u3'])
  })

  test("does not look at assistant's and tool messages behind a known one", () => {
    expect(talked().take(user('u2'), assistant('anything'), tool('x'), user('u3'))).toEqual(['u3'])
  })

  test('refuses the same history again: nothing is new', () => {
    expect(talked().refusal(user('u1'), assistant('a1'), user('u2'), assistant('a2'))).toMatchObject({
      code: 'invalid_input',
      message: expect.stringContaining('new id'),
    })
  })

  test.each<[string, Message[]]>([
    ['the last turn', [user('u1'), assistant('a1'), user('u3')]],
    ['the last turn, and is cut at its beginning', [assistant('a1'), user('u1'), user('u3'), user('u4')]],
  ])("takes a history that lacks another client's turn: %s", (_what, messages) => {
    const { messages: fresh, held } = talked().sort(...messages)
    expect(fresh.map(({ id }) => id)).toEqual(messages.slice(2).map(({ id }) => id))
    expect(held).toEqual(messages.slice(0, 2))
  })

  test.each<[string, Message[]]>([
    ['the whole history', [user('u1'), assistant('a1'), user('u2'), user('u3')]],
    ['only what is new', [user('u3')]],
  ])('is not behind with %s', (_what, messages) => {
    expect(talked().sort(...messages).held).toBeUndefined()
  })
})

describe('a history that ends with a known message takes the conversation back to before it', () => {
  const three = (): Thread => {
    const thread = talked()
    thread.take(user('u2'), user('u3'), user('u4'))
    return thread
  }

  test.each<[string, Message[], string[], number]>([
    ['the last question', [user('u1'), assistant('a1'), user('u2')], ['u2'], 1],
    ['the last question, edited', [user('u1'), assistant('a1'), user('u2', 'edited')], ['u2'], 1],
    ['the last question alone', [user('u2')], ['u2'], 1],
    ['the end of the history', [assistant('a1'), user('u2')], ['u2'], 1],
    ['the first question', [user('u1')], ['u1'], 0],
    ['the first question, edited', [user('u1', 'edited')], ['u1'], 0],
    ['one of two that a turn took in', [user('u1'), user('u2'), user('u3'), user('u4')], ['u3', 'u4'], 2],
    ['the first of two that a turn took in', [user('u1'), user('u2'), user('u3')], ['u3'], 2],
    ['what was steered in', [user('u1'), user('u2'), user('u3:steered', 'words of u3')], ['u3:steered'], 2],
    ['a question behind a new one', [user('u1'), user('new'), user('u2')], ['new', 'u2'], 1],
  ])('%s', (_what, messages, fresh, turn) => {
    const sorted = three().sort(...messages)
    expect(sorted.messages.map(({ id }) => id)).toEqual(fresh)
    expect(sorted.back).toMatchObject({ turn, point: `p${turn}` })
    expect(sorted.held).toBeUndefined()
  })

  test('what it knows last is what it keeps', () => {
    expect(three().sort(user('u1'), user('u2')).back?.lastUserMessageId).toBe('u1')
    expect(three().sort(user('u1')).back?.lastUserMessageId).toBeUndefined()
  })

  test('the greeting of an app stands before its first question again', () => {
    const thread = new Thread()
    thread.take(assistant('hello'), user('u1'))
    expect(thread.sort(assistant('hello'), user('u1', 'edited')).before).toEqual([assistant('hello')])
  })

  test('an edit under a new id says in whose stead it stands', () => {
    const thread = Object.assign(three(), { replaces: 'u2' })
    const { messages, back } = thread.sort(user('u1'), assistant('a1'), user('other'))
    expect(messages.map(({ id }) => id)).toEqual(['other'])
    expect(back).toMatchObject({ turn: 1 })
  })

  test('of the message that the history ends with, and the one it replaces, the earlier one counts', () => {
    const thread = Object.assign(three(), { replaces: 'u3' })
    expect(thread.sort(user('u1'), user('u2')).back).toMatchObject({ turn: 1 })
    thread.replaces = 'u2'
    expect(thread.sort(user('u1'), user('u3'))).toMatchObject({ messages: [{ id: 'u3' }], back: { turn: 1 } })
  })

  test('what the thread does not have takes nothing back', () => {
    const thread = Object.assign(talked(), { replaces: 'failed' })
    expect(thread.sort(user('u1'), user('u2'), user('u3'))).toMatchObject({ messages: [{ id: 'u3' }] })
    expect(thread.sort(user('u1'), user('u2'), user('u3')).back).toBeUndefined()
  })

  test('an answer to what is asked takes nothing back, and one that does both is refused', () => {
    const thread = Object.assign(talked(), { isAnswered: true })
    expect(thread.sort(user('u1'), assistant('a1'), user('u2'))).toEqual({
      messages: [],
      before: [],
      digests: [],
    })
    expect(thread.refusal(user('u1'), assistant('a1'), user('u2', 'edited')).code).toBe(
      'regenerate_unsupported',
    )
  })

  test('one to which the agent has no way back is refused, with its id', () => {
    const thread = talked()
    thread.take(user('pointless'))
    expect(thread.refusal(user('u1'), user('u2'), user('pointless'))).toMatchObject({
      code: 'regenerate_unsupported',
      message: expect.stringContaining('"pointless"'),
    })
  })

  test('a message in the middle is still not to be edited', () => {
    expect(three().refusal(user('u1', 'edited'), user('u2')).code).toBe('history_conflict')
  })
})

describe('history that is not this thread’s is refused with its place', () => {
  test.each<[string, Message[], string]>([
    ['an edited message', [user('u1', 'edited'), assistant('a1'), user('u2'), user('u3')], 'messages[0]'],
    ['an edited last message', [user('u1'), user('u2', 'edited'), user('u3')], 'messages[1]'],
    ['an inserted message', [user('u1'), user('new'), user('u2'), user('u3')], 'messages[1]'],
    ['an edited message in a history that lacks the last turn', [user('u1', 'x'), user('u3')], 'messages[0]'],
    ['a conversation of another thread', [user('x'), assistant('y'), user('z')], 'messages[0]'],
    ['a foreign answer', [assistant('y'), user('z')], 'messages[1]'],
  ])('%s', (_what, messages, place) => {
    const { code, message } = talked().refusal(...messages)
    expect(code).toBe('history_conflict')
    expect(message).toContain(place)
    expect(message).toMatch(/new threadId/)
  })
})

describe('a message id that comes twice in one history', () => {
  test.each<[string, Message[], string]>([
    ['new, with the same words', [user('u1'), user('u1')], 'messages[1] has the id of messages[0]'],
    ['new, with other words', [user('u1'), user('u1', 'otherwise')], 'messages[1]'],
    [
      'new, apart',
      [user('u1'), assistant('a'), user('u2'), user('u1')],
      'messages[3] has the id of messages[0]',
    ],
  ])('is a conflict: %s', (_what, messages, place) => {
    const { code, message } = new Thread().refusal(...messages)
    expect([code, message]).toEqual(['history_conflict', expect.stringContaining(place)])
  })

  test.each<[string, Message[], string]>([
    ['known', [user('u1'), user('u1')], 'messages[1]'],
    ['known, before a new one', [user('u2'), user('u2'), user('u3')], 'messages[1]'],
    ['the one to go back to', [user('u1'), user('u2'), assistant('a2'), user('u2')], 'messages[3]'],
  ])('is a conflict on a thread that was talked on: %s', (_what, messages, place) => {
    expect(talked().refusal(...messages)).toMatchObject({
      code: 'history_conflict',
      message: expect.stringContaining(place),
    })
  })
})

describe('a history that goes back to before a message and holds later ones before that', () => {
  test.each<[string, Message[], string]>([
    [
      'two turns',
      [user('u2'), user('u1')],
      'messages[1] ("u1") stands where something earlier stood than messages[0] ("u2")',
    ],
    ['an edit of the first', [user('u2'), user('u1', 'edited')], 'messages[1]'],
    ['with answers between', [assistant('a1'), user('u2'), assistant('a2'), user('u1')], 'messages[3]'],
  ])('is a conflict: %s', (_what, messages, place) => {
    expect(talked().refusal(...messages)).toMatchObject({
      code: 'history_conflict',
      message: expect.stringContaining(place),
    })
  })

  test('is one as well when it says in whose stead its last one stands', () => {
    const thread = Object.assign(talked(), { replaces: 'u1' })
    expect(thread.refusal(user('u2'), user('other')).message).toContain('messages[1] ("other")')
    expect(thread.sort(user('other')).back).toMatchObject({ turn: 0 })
  })

  test('is one as well when both are of one turn', () => {
    const thread = new Thread()
    thread.take(user('u1'), user('u2'))
    expect(thread.refusal(user('u2'), user('u1')).code).toBe('history_conflict')
    expect(thread.sort(user('u1'), user('u2')).back).toMatchObject({ turn: 0 })
  })

  test('is none when a message was steered, and stands there both ways', () => {
    const thread = new Thread()
    thread.take(user('u1'), user('u2'), user('u3'))
    const told = [user('u2:steered', 'words of u2'), user('u3:steered', 'words of u3')]
    expect(thread.sort(user('u1'), user('u2'), user('u3'), ...told).back).toMatchObject({ turn: 0 })
  })
})

test('a failed run is tried again with the same message', () => {
  const thread = talked()
  const failed = [user('u1'), user('u2'), user('u3')]
  expect(thread.sort(...failed).messages.map(({ id }) => id)).toEqual(['u3'])
  // Nothing was remembered of it.
  expect(thread.take(...failed)).toEqual(['u3'])
})

test('content of parts is told apart by its parts, not by the order of their members', () => {
  const thread = new Thread()
  thread.take(user('u1', [{ type: 'text', text: 'look' }]))
  const same = [Object.assign({ text: 'look' }, { type: 'text' as const })]
  expect(thread.take(user('u1', same), user('u2'))).toEqual(['u2'])
  expect(thread.take(user('u1', 'look'), user('u3'))).toEqual(['u3'])
  const other = [...same, { type: 'text' as const, text: 'again' }]
  expect(thread.refusal(user('u1', other), user('u4')).code).toBe('history_conflict')
})

test('the digest does not give the content away and is short', () => {
  const [entry] = reconcile([user('u1', 'secret')], new Thread()).digests
  expect(entry?.[1]).toHaveLength(22)
  expect(entry?.[1]).not.toBe(createHash('sha256').update('secret').digest('base64url').slice(0, 22))
})
