import fc from 'fast-check'
import { expect, test } from 'vitest'
import { judge } from '../support/agui-judge.ts'
import { caseNames, readMessages, toEvents } from '../support/claude-cases.ts'

/** One message lost, told twice or told late. */
type Fault = { kind: 'lost' | 'twice' | 'late'; at: number; by: number }

function damage(messages: readonly unknown[], faults: readonly Fault[]): unknown[] {
  const damaged = [...messages]
  for (const { kind, at, by } of faults) {
    const index = at % damaged.length
    const [message] = damaged.slice(index)
    if (kind === 'twice') damaged.splice((index + by) % damaged.length, 0, message)
    else damaged.splice(index, 1)
    if (kind === 'late') damaged.splice(index + by, 0, message)
  }
  return damaged
}

const fault = fc.record({
  kind: fc.constantFrom<Fault['kind']>('lost', 'twice', 'late'),
  at: fc.nat(200),
  by: fc.nat(6),
})

/** The call may be the message that got lost; and a doubled end of a turn puts the doubled result into another run. */
const excused = /result of no call|second result/

test('whatever is lost, doubled or late, the stream stays AG-UI 1.0', { timeout: 60_000 }, async () => {
  const damagedCase = fc.tuple(
    fc.constantFrom(...caseNames()),
    fc.array(fault, { minLength: 1, maxLength: 4 }),
  )
  await fc.assert(
    fc.asyncProperty(damagedCase, async ([name, faults]) => {
      const messages = readMessages(name)
      if (messages.length < 2) return
      const events: unknown[] = JSON.parse(JSON.stringify(toEvents(damage(messages, faults))))
      const { problems } = await judge(events)
      expect(problems.filter((problem) => !excused.test(problem))).toEqual([])
    }),
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 150) },
  )
})
