// A process that writes one thread of a Redis until it may not: for tests that stop it and let it go on.
// Arguments: URL, runner id, lease in milliseconds. It prints each seq that is committed, then why it ends.
import { setTimeout as delay } from 'node:timers/promises'
import { isCode } from '../../src/errors.ts'
import { RedisStorage } from '../../src/storage/redis/redis-storage.ts'
import { appendTo, delta } from './event-log.ts'

const [, , url = '', runnerId = '', leaseMs = ''] = process.argv
const storage = await RedisStorage.open({
  url,
  runnerId,
  runnerUrl: `http://${runnerId}`,
  leaseMs: Number(leaseMs),
  retentionBytes: 1024 ** 3,
})
storage.tenancy.watch({
  onLapsed: () => console.log('lapsed'),
  onLost: () => console.log('lost'),
  onFollowed: () => undefined,
})
try {
  for (;;) {
    const { last } = await appendTo(storage, 't', runnerId, [delta(runnerId)])
    console.log(last)
    await delay(5)
  }
} catch (error) {
  console.log(isCode(error, 'elsewhere') ? error.code : String(error))
}
await storage.close()
