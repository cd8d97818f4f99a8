import { expect, test } from 'vitest'
import { CloseStack } from '../../src/runner/close-stack.ts'

test('parts are closed youngest first, each once', async () => {
  const closed: string[] = []
  const stack = new CloseStack()
  expect(stack.adopt('a', (part) => closed.push(part))).toBe('a')
  stack.defer(async () => closed.push('b'))
  await Promise.all([stack.close(), stack.close()])
  expect(closed).toEqual(['b', 'a'])
})

test('a part that cannot be closed keeps none from being closed, and its failure is told', async () => {
  const closed: string[] = []
  const stack = new CloseStack()
  stack.defer(() => closed.push('a'))
  stack.defer(() => Promise.reject(new Error('first')))
  stack.defer(() => {
    throw new Error('second')
  })
  await expect(stack.close()).rejects.toThrow('second')
  expect(closed).toEqual(['a'])
})
