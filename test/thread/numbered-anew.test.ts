import type { Message } from '@ag-ui/core'
import { describe, expect, test } from 'vitest'
import { messageDigestOf } from '../../src/thread/digests.ts'
import { seenUnderOtherIds } from '../../src/thread/numbered-anew.ts'

const user = (content: string, id = `${content}'`): Message => ({ id, role: 'user', content })
const system = (content: string): Message => ({ id: `${content}'`, role: 'system', content })
const answer: Message = { id: 'a', role: 'assistant', content: 'an answer' }
const result: Message = { id: 'r', role: 'tool', toolCallId: 'c', content: 'sunny' }

/** The thread's messages, whose names are their contents. */
function seenIn(history: Message[], ...contents: string[]): Record<string, string> {
  const seen = contents.map((content) => ({ content, said: `${messageDigestOf(content)} as-shown` }))
  return Object.fromEntries([...seenUnderOtherIds(history, seen)].map(([id, { content }]) => [id, content]))
}

describe('a history whose ids are new', () => {
  test.each<[string, Message[], string[], string[]]>([
    ['whole', [user('one'), answer, user('two'), answer, user('new')], ['one', 'two'], ["one'", "two'"]],
    ['without turns of another client', [user('one'), answer, user('new')], ['one', 'two'], ["one'"]],
    ['cut at its beginning', [answer, user('two'), answer, user('new')], ['one', 'two'], ["two'"]],
    ['that brings a result', [user('one'), answer, result], ['one'], ["one'"]],
    [
      'with its system message',
      [system('s'), user('one'), answer, user('new')],
      ['s', 'one'],
      ["s'", "one'"],
    ],
    ['with another system message', [system('z'), user('one'), answer, user('new')], ['s', 'one'], ["one'"]],
    ['with a failed turn', [user('one'), answer, user('failed'), answer, user('new')], ['one'], ["one'"]],
    ['of another conversation', [user('other'), answer, user('one'), answer, user('new')], ['one'], []],
    ['of a thread without turns', [user('one'), answer, user('new')], [], []],
    ['in another order', [user('two'), answer, user('one'), answer, user('new')], ['one', 'two'], ["two'"]],
  ])('%s: the messages that say the same are the thread’s', (_what, history, contents, found) => {
    expect(Object.keys(seenIn(history, ...contents))).toEqual(found)
  })

  test('a message that says what an earlier one said is found once, and is new at the end', () => {
    const history = [user('yes', '1'), answer, user('yes', '2'), answer, user('yes', '3')]
    expect(seenIn(history, 'yes', 'yes')).toEqual({ 1: 'yes', 2: 'yes' })
    expect(seenIn(history, 'yes', 'yes', 'yes')).toEqual({ 1: 'yes', 2: 'yes' })
    expect(seenIn(history, 'yes')).toEqual({ 1: 'yes' })
  })
})
