// A runner whose Redis does not answer for longer than the lease: another one may have its threads by then.
import { expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { bodyOf, type ClientEvent, frames, post, run, runInput, textOf } from '../support/client.ts'
import { RedisServer } from '../support/redis-server.ts'
import { openScriptedRunner } from '../support/scripted-runner.ts'

test('a run ends when its lease has, a new one is refused meanwhile, and then all goes on', async () => {
  const redis = await RedisServer.start()
  const script: Script = {
    rules: [{ when: { prompt: 'hang' }, reply: [{ text: 'partial' }, { hang: true }] }, { reply: 'yes' }],
  }
  const runner = await openScriptedRunner({ script }, { EVENT_LOG_URL: redis.url, THREAD_LEASE_MS: '1000' })
  try {
    const seen: ClientEvent[] = []
    for await (const { event } of frames(await post(runner.url, runInput('t', 'hang on')))) {
      seen.push(event)
      if (event.type !== 'TEXT_MESSAGE_CONTENT') continue
      redis.signal('SIGSTOP')
      const refused = await post(runner.url, runInput('other', 'now?'))
      expect([refused.status, await bodyOf(refused)]).toMatchObject([
        503,
        { error: { code: 'storage_unavailable' } },
      ])
      redis.signal('SIGCONT')
    }
    expect(seen.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'lease_lost' })
    expect(textOf(await run(runner.url, runInput('t', 'and now?')))).toBe('yes')
    expect(textOf(await run(runner.url, runInput('other', 'and now?')))).toBe('yes')
  } finally {
    await runner.close()
    await redis.close()
  }
})
