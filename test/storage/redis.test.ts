import { afterAll, beforeAll } from 'vitest'
import { threadKey } from '../../src/storage/redis/keys.ts'
import { RedisStorage, type RedisStorageOptions } from '../../src/storage/redis/redis-storage.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { RedisServer } from '../support/redis-server.ts'
import { type Place, storageContract } from './contract.ts'

let server: RedisServer
beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(() => server.close())

storageContract((): Place => {
  const opened: Storage[] = []
  const options: Omit<RedisStorageOptions, 'url'> = {
    runnerId: 'runner-a',
    runnerUrl: 'http://127.0.0.1:1',
    leaseMs: 30_000,
    retentionBytes: 1024 ** 3,
  }
  return {
    async open() {
      const storage = await RedisStorage.open({ ...options, url: server.url })
      opened.push(storage)
      return storage
    },
    committedHead: async (threadId) => Number(await server.ask('HGET', threadKey(threadId, 'meta'), 'head')),
    async damageFacts(threadId) {
      await server.ask('HSET', threadKey(threadId, 'meta'), 'facts', 'x')
    },
    async remove() {
      for (const storage of opened) await storage.close()
      await server.ask('FLUSHALL')
    },
  }
})
