import { crc32 } from 'node:zlib'
import { expect, test } from 'vitest'
import { seal, unseal } from '../../src/storage/lmdb/seal.ts'

const PLACE = { table: 'batches', key: Buffer.from('"t"\0\x01') }
const VALUE = Buffer.from('{"a":1}\n...')

test('a value is whole in its own place only', () => {
  const stored = seal(PLACE, [VALUE.subarray(0, 3), VALUE.subarray(3)])
  expect(unseal(PLACE, stored)).toEqual(VALUE)
  expect(unseal({ ...PLACE, table: 'blobs' }, stored)).toBeUndefined()
  expect(unseal({ ...PLACE, key: Buffer.from('"u"\0\x01') }, stored)).toBeUndefined()
})

test('values of older versions are read: a sum of the value alone, and none', () => {
  const head = Buffer.from([1, 0, 0, 0, 0])
  head.writeUInt32LE(crc32(VALUE), 1)
  expect(unseal(PLACE, Buffer.concat([head, VALUE]))).toEqual(VALUE)
  expect(unseal(PLACE, VALUE)).toEqual(VALUE)
  expect(unseal(PLACE, Buffer.concat([head, VALUE.subarray(1)]))).toBeUndefined()
})
