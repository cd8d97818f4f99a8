import { expect, test } from 'vitest'
import { type FollowOptions, follow, type Link, Refusal } from '../../src/console/browser/follow.ts'

const record = (seq: number): string => `id: ${seq}\ndata: ${JSON.stringify({ type: 'CUSTOM', n: seq })}\n\n`

/** A body that gives these pieces and then ends, or breaks, or stays silent. */
function answer(
  pieces: readonly (string | Uint8Array)[],
  end: 'close' | 'break' | 'silence' = 'close',
): Response {
  const encoder = new TextEncoder()
  const rest = [...pieces]
  return new Response(
    new ReadableStream({
      pull(controller) {
        const piece = rest.shift()
        if (piece !== undefined) controller.enqueue(typeof piece === 'string' ? encoder.encode(piece) : piece)
        else if (end === 'close') controller.close()
        else if (end === 'break') controller.error(new Error('connection reset'))
        else return new Promise(() => undefined)
        return undefined
      },
    }),
  )
}

interface Followed {
  seqs: number[]
  asked: number[]
  links: Link[]
  expired: number[]
}

/** Follows through these answers, one a connection; is over when the last one has ended. */
async function followThrough(
  answers: readonly (() => Response | Promise<Response>)[],
  options: Partial<FollowOptions> = {},
): Promise<Followed> {
  const followed: Followed = { seqs: [], asked: [], links: [], expired: [] }
  const over = new AbortController()
  await follow({
    async open(after, signal) {
      followed.asked.push(after)
      const next = answers[followed.asked.length - 1]
      if (next === undefined) {
        over.abort()
        throw new Error('over')
      }
      const response = await next()
      // As fetch does it: the body ends with the signal.
      const { body } = response
      const { readable, writable } = new TransformStream()
      body?.pipeTo(writable, { signal }).catch(() => undefined)
      return new Response(readable)
    },
    onRecords: (records) => followed.seqs.push(...records.map(({ seq }) => seq ?? -1)),
    onExpired: (oldest) => followed.expired.push(oldest),
    onLink: (link) => followed.links.push(link),
    pause: async () => undefined,
    signal: over.signal,
    ...options,
  })
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
  const names: unknown[] = []
  const onRecords: FollowOptions['onRecords'] = (records) =>
    names.push(...records.map((frame) => frame.event['name']))
  await followThrough([() => answer([...bytes].map((byte) => Uint8Array.of(byte)))], { onRecords })
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
  const { asked, links } = await followThrough([
    () => {
      throw new Refusal(status, { code: 'x', message: 'not here' })
    },
  ])
  expect(asked).toEqual([0])
  expect(links.at(-1)).toEqual({ state: 'ended', reason: 'not here' })
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
  expect(links).toContainEqual({ state: 'lost', reason: 'no log' })
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

test('waits longer from failure to failure, and starts over when records come', async () => {
  const waits: number[] = []
  const pause = async (ms: number): Promise<void> => {
    waits.push(ms)
  }
  const refused = () => {
    throw new TypeError('fetch failed')
  }
  await followThrough([refused, refused, refused, refused, refused, refused, () => answer([record(1)])], {
    pause,
  })
  expect(waits).toEqual([500, 1000, 2000, 2000, 2000, 2000, 250])
})
