import { expect, test } from 'vitest'
import { RateLimit } from '../../src/http/doors/rate-limit.ts'

/** A limit on a clock that the test sets. */
function limitOf(perMinute: number) {
  const clock = { ms: 0 }
  return { clock, limit: new RateLimit({ name: 'SOME_MAX', perMinute, now: () => clock.ms }) }
}

const admitted = (limit: RateLimit, key: string, times: number): number =>
  Array.from({ length: times }, () => limit.take(key)).filter((refusal) => refusal === undefined).length

test('as many as the limit pass at once, and then as many as come back within the time', () => {
  const { clock, limit } = limitOf(60)
  expect(admitted(limit, 'a', 100)).toBe(60)
  clock.ms = 1000
  expect(admitted(limit, 'a', 100)).toBe(1)
  clock.ms = 11_000
  expect(admitted(limit, 'a', 100)).toBe(10)
  clock.ms = 3_600_000
  // Never more than the limit, however long nobody asked.
  expect(admitted(limit, 'a', 100)).toBe(60)
})

test('a refusal says which limit and when to come again, and it does pass then', () => {
  const { clock, limit } = limitOf(6)
  admitted(limit, 'a', 6)
  const refusal = limit.take('a')
  expect(refusal).toMatchObject({
    code: 'rate_limited',
    status: 429,
    retryAfterSeconds: 10,
    details: { limit: 'SOME_MAX', retryAfterSeconds: 10 },
    message: 'SOME_MAX (6 a minute) is reached; send it again in 10 s, or raise the limit.',
  })
  clock.ms = 9000
  expect(limit.take('a')?.retryAfterSeconds).toBe(1)
  clock.ms = 10_000
  expect(limit.take('a')).toBeUndefined()
})

test('keys do not share, 0 is no limit', () => {
  const { limit } = limitOf(1)
  expect(admitted(limit, 'a', 5)).toBe(1)
  expect(admitted(limit, 'b', 5)).toBe(1)
  expect(admitted(limitOf(0).limit, 'a', 100_000)).toBe(100_000)
})

test('it knows a bounded number of keys: who was used last stays known', () => {
  const { limit } = limitOf(1)
  limit.take('first')
  limit.take('second')
  for (let key = 0; key < 9_999; key += 1) limit.take(`other ${key}`)
  // As the ten thousand and first, one was forgotten, and begins anew.
  expect(limit.take('second')).toBeDefined()
  expect(limit.take('first')).toBeUndefined()
})
