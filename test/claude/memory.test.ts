import { expect, test } from 'vitest'
import { freshMemory, isMemory, lookAt, parseMemory } from '../../src/claude/memory.ts'

const stored = (memory: unknown) => JSON.parse(JSON.stringify(memory))

test('a conversation that has not ended its first turn keeps its session and its model across a restart', () => {
  const memory = { ...freshMemory('chosen'), begun: true }
  expect(parseMemory(stored(memory))).toEqual({ ...memory, translator: undefined })
})

test('a new thread has a fresh memory, with an id of its own', () => {
  const [one, two] = [parseMemory({}), parseMemory({})]
  expect([one.begun, two.begun]).toEqual([false, false])
  expect(one.claudeSessionId).not.toBe(two.claudeSessionId)
})

test.each([
  ['an id that is none', { claudeSessionId: 7 }],
  ['a part that is missing', { ...freshMemory(), asked: undefined }],
  ['a translator of another version', { ...freshMemory(), translator: { usage: 7 } }],
])('a memory with %s is refused by name, for a fresh one would forget the conversation', (_what, memory) => {
  const damaged = expect.objectContaining({ code: 'storage_damaged' })
  expect(isMemory(stored(memory))).toBe(false)
  expect(() => parseMemory(stored(memory))).toThrow(damaged)
  expect(() => lookAt(stored(memory), 'default')).toThrow(damaged)
})
