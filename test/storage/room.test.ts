// What a commit that ends between two looks at the data file does to the claim of the next one.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { Room } from '../../src/storage/lmdb/room.ts'

const directory = mkdtempSync(join(tmpdir(), 'agui-room-test-'))
afterEach(() => rmSync(directory, { recursive: true, force: true }))

test('a disk with room is not full because pages were used while the file grew', () => {
  // As LMDB's own thread moves it: nothing at the first look, hundreds of pages at the second.
  const lastPages = [0, 700]
  const lastPage = (): number => lastPages.shift() ?? 700
  const room = new Room({ path: join(directory, 'data'), pageBytes: 4096, lastPage })
  expect(() => room.check()).not.toThrow()
  expect(room.claim(4096, false)).toBeGreaterThan(0)
  room.close()
})
