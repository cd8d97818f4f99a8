import { EventType } from '@ag-ui/core'
import { pino } from 'pino'
import { expect, test, vi } from 'vitest'
import { RunnerError } from '../../src/errors.ts'
import { Delivery } from '../../src/platform-link/delivery.ts'
import { LinkState } from '../../src/platform-link/link-state.ts'
import { Outbox } from '../../src/platform-link/outbox.ts'
import type { LinkPush } from '../../src/platform-link/outgoing.ts'
import { Progress } from '../../src/platform-link/progress.ts'
import { appendTo, StoreFolder } from '../support/event-log.ts'

const ERROR = { type: EventType.RUN_ERROR, code: 'internal', message: 'broken' } as const

test('a store that does not answer for a while is asked again, and everything is pushed once', async () => {
  const folder = new StoreFolder()
  const storage = await folder.open()
  await appendTo(storage, 't', 'r', [ERROR])
  const silence = new RunnerError('storage_unavailable', 'no answer')
  vi.spyOn(storage.tables.workspace, 'get').mockRejectedValueOnce(silence)
  vi.spyOn(storage.log, 'head').mockRejectedValueOnce(silence)
  vi.spyOn(storage.log, 'read').mockImplementationOnce(() => {
    throw silence
  })
  const pushed: LinkPush[] = []
  const logger = pino({ enabled: false })
  const delivery = new Delivery({
    server: {
      push: async (push) => pushed.push(push),
      async *watch(_after, { signal, onOpen }) {
        onOpen?.()
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
      },
    },
    tokens: { current: async () => undefined, forget: () => false },
    ...{ state: new LinkState(logger), logger, pace: { first: 1, longest: 1 }, callMs: 10, lookMs: 10 },
  })
  const progress = new Progress(storage, 't')
  const outbox = new Outbox({ log: storage.log, threadId: 't', progress, delivery, logger })
  const stopping = new AbortController()
  const running = outbox.run(stopping.signal)
  await Promise.race([running, outbox.reached(1, stopping.signal)])
  await appendTo(storage, 't', 'r', [ERROR])
  await Promise.race([running, outbox.reached(2, stopping.signal)])
  const words = pushed.map(({ payload }) => payload)
  expect(words).toHaveLength(2 * new Set(words).size)
  stopping.abort()
  await running.catch(() => undefined)
  await folder.remove()
})
