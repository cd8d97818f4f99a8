import { join } from 'node:path'
import { open } from 'lmdb'
import { keyText } from '../../src/storage/lmdb/store.ts'
import { StoreFolder } from '../support/event-log.ts'
import { type Place, storageContract } from './contract.ts'

storageContract((): Place => {
  const folder = new StoreFolder()
  return {
    open: () => folder.open(),
    committedHead(threadId) {
      const root = open({ path: join(folder.directory, 'log.mdb'), readOnly: true, maxDbs: 8 })
      const batches = root.openDB<Buffer, [string, number]>({ name: 'batches', encoding: 'binary' })
      const keys = batches.getKeys({ start: [keyText(threadId), 0], end: [keyText(threadId), Infinity] })
      return [...keys].at(-1)?.[1] ?? 0
    },
    async damageFacts(threadId) {
      const root = open({ path: join(folder.directory, 'log.mdb'), maxDbs: 8 })
      await root
        .openDB<Buffer, string>({ name: 'threads', encoding: 'binary' })
        .put(keyText(threadId), Buffer.from('x'))
      await root.close()
    },
    remove: () => folder.remove(),
  }
})
