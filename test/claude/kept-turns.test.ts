import { queryObjects } from 'node:v8'
import { expect, onTestFinished, test } from 'vitest'
import { Turn } from '../../src/claude/turn.ts'
import { run, runInput } from '../support/client.ts'
import { claudeOf } from '../support/processes.ts'
import { openBench } from '../support/runner.ts'

test('a process that stays warm keeps none of its turns but the last', async () => {
  const bench = await openBench()
  onTestFinished(() => bench.close())
  const { url } = await bench.open()
  for (const prompt of ['one', 'two', 'three']) await run(url, runInput('t', prompt))
  await expect.poll(() => queryObjects(Turn, { format: 'count' })).toBeLessThanOrEqual(1)
  expect(claudeOf(bench)).toHaveLength(1)
})
