import { expect, test } from 'vitest'
import { freshMemory, parseMemory } from '../../src/claude/memory.ts'

const stored = (memory: unknown) => JSON.parse(JSON.stringify(memory))

test('a conversation that has not ended its first turn keeps its session and its model across a restart', () => {
  const memory = { ...freshMemory('chosen'), begun: true }
  expect(parseMemory(stored(memory))).toEqual({ ...memory, translator: undefined })
})

test('what is no memory is a fresh one, with an id of its own', () => {
  const [one, two] = [parseMemory({}), parseMemory({ claudeSessionId: 7 })]
  expect([one.begun, two.begun]).toEqual([false, false])
  expect(one.claudeSessionId).not.toBe(two.claudeSessionId)
})
