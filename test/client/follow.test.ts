import { expect, test } from 'vitest'
import { type Connection, follow, type LineOptions, type Link } from '../../packages/client/src/follow.ts'
import { Refusal } from '../../packages/client/src/refusal.ts'

const record = (seq: number): string => `id: ${seq}\ndata: ${JSON.stringify({ type: 'CUSTOM', n: seq })}\n\n`

/** A body that gives these pieces and then ends, or breaks, or stays silent. */
function answer(
  pieces: readonly (string | Uint8Array)[],
  end: 'close' | 'break' | 'silence' = 'close',
): Response {
  const encoder = new TextEncoder()
  const rest = [...pieces]
  const body = new ReadableStream({
    pull(controller) {
      const piece = rest.shift()
      if (piece !== undefined) controller.enqueue(typeof piece === 'string' ? encoder.encode(piece) : piece)
      else if (end === 'close') controller.close()
      else if (end === 'break') controller.error(new Error('connection reset'))
      else return new Promise(() => undefined)
      return undefined
    },
  })
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
}

interface Followed {
  seqs: number[]
  names: unknown[]
  asked: (number | undefined)[]
  links: Link[]
  expired: number[]
  error: unknown
}

interface Settings extends LineOptions {
  start?: number | undefined
  isWhole?: boolean
  isToldOfExpiry?: boolean
}

/** Follows through these answers, one a connection; is over when the last one has ended. */
async function followThrough(
  answers: readonly (() => Response | Promise<Response>)[],
  { start = 0, isWhole = true, isToldOfExpiry = true, ...options }: Settings = {},
): Promise<Followed> {
  const followed: Followed = { seqs: [], names: [], asked: [], links: [], expired: [], error: undefined }
  const over = new AbortController()
  const open = async (after: number | undefined): Promise<Connection> => {
    followed.asked.push(after)
    const next = answers[followed.asked.length - 1]
    if (next === undefined) {
      over.abort()
      throw new Error('over')
    }
    return { response: await next(), isWhole }
  }
  const groups = follow(open, start < 0 ? undefined : start, {
    ...(isToldOfExpiry ? { onExpired: (oldest) => followed.expired.push(oldest) } : {}),
    onLink: (link) => followed.links.push(link),
    retryMsMin: 1,
    signal: over.signal,
    ...options,
  })
  try {
    for await (const { seq, events } of groups) {
      followed.seqs.push(seq ?? -1)
      followed.names.push(...events.map((event) => ('name' in event ? event.name : event.type)))
    }
  } catch (error) {
    followed.error = error
  }
  return followed
}

test('goes on behind the last record when the connection breaks, also within a record', async () => {
  const { seqs, asked } = await followThrough([
    () => answer([record(1), record(2), record(3).slice(0, 12)], 'break'),
    () => answer([record(3)]),
    () => answer([]),
  ])
  expect(seqs).toEqual([1, 2, 3])
  expect(asked).toEqual([0, 2, 3, 3])
})

test('what is told twice is shown once', async () => {
  const { seqs } = await followThrough([
    () => answer([record(1), record(1), record(2)]),
    () => answer([record(2), record(3)]),
  ])
  expect(seqs).toEqual([1, 2, 3])
})

test('a hole is not stepped over: what is missing is asked for', async () => {
  const { seqs, asked } = await followThrough([
    () => answer([`${record(1)}${record(2)}${record(4)}`], 'silence'),
    () => answer([record(3), record(4)]),
  ])
  expect(seqs).toEqual([1, 2, 3, 4])
  expect(asked).toEqual([0, 2, 4])
})

test('records come whole however the bytes are cut, also inside a character', async () => {
  const event = { type: 'CUSTOM', name: 'Grüße, 🙂' }
  const bytes = new TextEncoder().encode(`: keep-alive\n\nid: 1\ndata: ${JSON.stringify(event)}\n\n`)
  const { names } = await followThrough([() => answer([...bytes].map((byte) => Uint8Array.of(byte)))])
  expect(names).toEqual([event.name])
})

test('what retention dropped is said, and the rest is shown', async () => {
  const { seqs, asked, expired } = await followThrough([
    () => {
      const details = { oldestSeq: 40 }
      throw new Refusal(410, { code: 'replay_expired', message: 'gone', details })
    },
    () => answer([record(40), record(41)]),
  ])
  expect([seqs, asked, expired]).toEqual([[40, 41], [0, 39, 41], [40]])
})

test.each([401, 403, 404])('%d is the end of it', async (status) => {
  const refusal = new Refusal(status, { code: 'x', message: 'not here' })
  const { asked, error } = await followThrough([
    () => {
      throw refusal
    },
  ])
  expect(asked).toEqual([0])
  expect(error).toBe(refusal)
})

test('an error that the stream itself tells is no record; the thread is asked for again', async () => {
  const { seqs, asked, links } = await followThrough([
    () => answer([record(1), 'data: {"type":"RUN_ERROR","code":"internal","message":"no log"}\n\n']),
    () => answer([record(2)]),
  ])
  expect([seqs, asked]).toEqual([
    [1, 2],
    [0, 1, 2],
  ])
  expect(links).toContainEqual({ state: 'lost', reason: 'no log', retryMs: expect.any(Number) })
})

test('a line that stays silent is given up and opened anew', async () => {
  const { seqs, asked } = await followThrough(
    [() => answer([record(1)], 'silence'), () => answer([record(2)])],
    { silenceMsMax: 30 },
  )
  expect([seqs, asked]).toEqual([
    [1, 2],
    [0, 1, 2],
  ])
})

test('a silence without a bound is one', async () => {
  const warned: string[] = []
  const onWarning = ({ name }: Error): void => void warned.push(name)
  process.on('warning', onWarning)
  const { seqs } = await followThrough([() => answer([record(1)])], {
    silenceMsMax: Number.POSITIVE_INFINITY,
  })
  // Node warns, in a later turn, of a timer that is set to 1 ms because it was too long.
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', onWarning)
  expect([seqs, warned]).toEqual([[1], []])
})

test('what retention dropped is an error for who does not ask to be told', async () => {
  const refusal = new Refusal(410, { code: 'replay_expired', message: 'gone', details: { oldestSeq: 40 } })
  const refused = () => {
    throw refusal
  }
  const { asked, error } = await followThrough([refused], { isToldOfExpiry: false })
  expect([asked, error]).toEqual([[0], refusal])
})

test('an answer that is no event stream is a lost connection, not the end', async () => {
  const page = () => new Response('<p>Please sign in</p>', { headers: { 'content-type': 'text/html' } })
  const { seqs, links } = await followThrough([page, () => answer([record(1)])])
  expect(seqs).toEqual([1])
  expect(links).toContainEqual({
    state: 'lost',
    reason: 'The answer is no event stream but text/html.',
    retryMs: expect.any(Number),
  })
})

const named = (name: string, id = ''): string => `${id}data: {"type":"CUSTOM","name":"${name}"}\n\n`

test('events without a seq belong to the next that has one: cut off before it, none of them is told', async () => {
  const whole = [named('a'), named('b'), named('c', 'id: 7\n')]
  const { seqs, names, asked } = await followThrough(
    [() => answer(whole.slice(0, 2), 'break'), () => answer(whole), () => answer([record(8)])],
    { start: -1 },
  )
  expect([seqs, names.slice(0, 3)]).toEqual([
    [7, 8],
    ['a', 'b', 'c'],
  ])
  expect(asked).toEqual([undefined, undefined, 7, 8])
})

test('a form that leaves records out has no holes to see', async () => {
  const { seqs } = await followThrough([() => answer([record(1), record(4)])], { isWhole: false })
  expect(seqs).toEqual([1, 4])
})

test('an open that never answers is given up when the caller leaves', async () => {
  const leaving = new AbortController()
  const followed = followThrough(
    [
      () => {
        leaving.abort()
        return new Promise(() => undefined)
      },
    ],
    { signal: leaving.signal },
  )
  expect((await followed).asked).toEqual([0])
})
