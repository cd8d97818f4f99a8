// A data file that is not what was written. Whatever was done to it, there are three answers: it is whole all the same,
// what is lost is told by its seqs, or the start is refused with folder and remedy. Never a signal, never a wrong record.
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { LmdbStorage } from '../../src/storage/lmdb/lmdb-storage.ts'
import { Store } from '../../src/storage/lmdb/store.ts'
import { probeStore } from '../../src/storage/lmdb/store-folder.ts'
import type { Write } from '../../src/storage/table.ts'
import { isReadable } from '../../src/thread/stored-threads.ts'
import { DataFile, type Held, type Outcome, outcomeOf, PAGE, seed } from '../support/damaged-store.ts'
import { createRandom } from '../support/random.ts'

const DAMAGES = Number(process.env['AGUI_DAMAGES'] ?? 40)
const SEED = Number(process.env['AGUI_SEED'] ?? Date.now() % 1_000_000)

const folder = mkdtempSync(join(tmpdir(), 'agui-damaged-test-'))
const original = join(folder, 'original')
const copy = join(folder, 'copy')
const data = join(copy, 'log.mdb')
const lock = join(copy, 'log.mdb-lock')
let held: Held

beforeAll(async () => {
  held = await seed(original)
})
beforeEach(() => {
  rmSync(copy, { recursive: true, force: true })
  cpSync(original, copy, { recursive: true })
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const change = (work: (file: DataFile) => void) => (): void => {
  const file = new DataFile(data)
  work(file)
  file.save()
}
const cutTo = (bytesOf: (file: DataFile) => number) => (): void =>
  truncateSync(data, bytesOf(new DataFile(data)))
const fill = (pageOf: (file: DataFile) => number, bytes: () => Buffer) =>
  change((file) => file.page(pageOf(file)).set(bytes()))
const zeros = (): Buffer => Buffer.alloc(PAGE)
const noise = (): Buffer => randomBytes(PAGE)
const leaf = (file: DataFile): number => file.below(file.rootOf('batches')).leaves[1] ?? 0
const branch = (file: DataFile): number => file.below(file.rootOf('batches')).branches[0] ?? 0
const flip = (file: DataFile, at: number): void => {
  file.bytes[at] = (file.bytes[at] ?? 0) ^ 0x20
}

const TABLE: [what: string, damage: () => void, outcome: Outcome][] = [
  ['nothing', () => {}, 'whole'],
  ['an empty file', cutTo(() => 0), 'refused'],
  ['one byte', cutTo(() => 1), 'refused'],
  ['half a page', cutTo(() => PAGE / 2), 'refused'],
  ['one page', cutTo(() => PAGE), 'refused'],
  ['two pages', cutTo(() => 2 * PAGE), 'refused'],
  ['a quarter', cutTo(({ bytes }) => bytes.length / 4), 'refused'],
  ['half of what is used', cutTo(({ used }) => (used / 2) * PAGE + 7), 'refused'],
  ['all but the last used page', cutTo(({ used }) => (used - 1) * PAGE), 'refused'],
  ['the room behind the last page cut off', cutTo(({ used }) => used * PAGE), 'whole'],
  ['garbage behind the end', () => writeFileSync(data, noise(), { flag: 'a' }), 'whole'],
  ['meta page 0 of zeros', fill(() => 0, zeros), 'refused'],
  ['meta page 1 of zeros', fill(() => 1, zeros), 'refused'],
  ['meta page 0 of noise', fill(() => 0, noise), 'refused'],
  ['meta page 1 of noise', fill(() => 1, noise), 'refused'],
  ['another magic', change(({ bytes }) => void bytes.writeUInt32LE(0xdeadbeef, 24)), 'refused'],
  ['another format', change(({ bytes }) => void bytes.writeUInt32LE(3, 28)), 'refused'],
  ['another page size', change(({ bytes }) => void bytes.writeUInt32LE(8192, 48)), 'refused'],
  ['a page size of 0', change(({ bytes }) => void bytes.writeUInt32LE(0, 48)), 'refused'],
  [
    'another root',
    change(({ bytes }) => void [0, PAGE].map((at) => bytes.writeUInt32LE(7, at + 136))),
    'refused',
  ],
  ['a later snapshot', change(({ bytes }) => void bytes.writeUInt32LE(0xffff, 152)), 'refused'],
  ['the list of databases of noise', fill(({ roots }) => roots.main, noise), 'refused'],
  ['the list of free pages of zeros', fill(({ roots }) => roots.free, zeros), 'refused'],
  ['the list of free pages of noise', fill(({ roots }) => roots.free, noise), 'refused'],
  ['a branch of zeros', fill(branch, zeros), 'refused'],
  ['a branch of noise', fill(branch, noise), 'refused'],
  ['a leaf of zeros', fill(leaf, zeros), 'refused'],
  ['a leaf of noise', fill(leaf, noise), 'refused'],
  [
    'a leaf that is another',
    change((file) => void file.page(leaf(file)).set(file.page(branch(file)))),
    'refused',
  ],
  [
    'noise in the head of a leaf',
    change((file) => void file.page(leaf(file)).set(noise().subarray(0, 64))),
    'refused',
  ],
  ['a key', change((file) => flip(file, file.placeOf('"', leaf(file)) + 3)), 'refused'],
  ['a character of a small value', change((file) => flip(file, file.placeOf('"delta":"30 xxx'))), 'gap'],
  [
    'a character of a large value',
    change((file) => flip(file, file.placeOf(`12 ${'x'.repeat(9000)}`) + 5000)),
    'gap',
  ],
  [
    'a page of a large value',
    change((file) => {
      const at = file.placeOf(`17 ${'x'.repeat(9000)}`)
      file.page(Math.ceil(at / PAGE) + 1).set(noise())
    }),
    'gap',
  ],
  [
    'the first page of a large value',
    change((file) => {
      const at = file.bytes.lastIndexOf('{"runId"', file.placeOf(`17 ${'x'.repeat(9000)}`))
      file.page(Math.floor(at / PAGE)).set(noise())
    }),
    'refused',
  ],
  // As a copy has it that was made while one thread was deleted and another one took its pages.
  ...[12, 60].map((index): [string, () => void, Outcome] => [
    `value ${index} of another thread, intact`,
    change(({ bytes }) => {
      const text = `${index} ${'x'.repeat(4500)} 0"`
      const twin = bytes.lastIndexOf(text)
      const [to, from] = [bytes.lastIndexOf(text, twin - 1), twin].map((at) => Math.floor(at / PAGE) * PAGE)
      // The head of the first page has its number.
      bytes.copy(bytes, Number(to) + 24, Number(from) + 24, Number(from) + 3 * PAGE)
    }),
    'gap',
  ]),
  [
    'the last value of a thread',
    change((file) => flip(file, file.placeOf(`60 ${'x'.repeat(9000)}`) + 100)),
    'gap',
  ],
  [
    'a checksum',
    change((file) => {
      const at = file.placeOf(`12 ${'x'.repeat(9000)}`)
      flip(file, file.bytes.lastIndexOf('{"runId"', at) - 2)
    }),
    'gap',
  ],
  [
    'the facts of a thread',
    change((file) => flip(file, file.placeOf('"lastOutcome":"success"', file.rootOf('threads')) + 3)),
    'refused',
  ],
  ['a text in its place', () => writeFileSync(data, 'hello '.repeat(5000)), 'refused'],
  [
    'an SQLite file in its place',
    () => writeFileSync(data, `SQLite format 3\0${'\0'.repeat(8192)}`),
    'refused',
  ],
  ['zeros in its place', () => writeFileSync(data, Buffer.alloc(64 * PAGE)), 'refused'],
  [
    'a folder in its place',
    () => {
      rmSync(data)
      mkdirSync(data)
    },
    'refused',
  ],
  [
    'a link to itself in its place',
    () => {
      rmSync(data)
      symlinkSync(data, data)
    },
    'refused',
  ],
  [
    'a file in the place of the folder',
    () => {
      rmSync(copy, { recursive: true })
      writeFileSync(copy, '')
    },
    'refused',
  ],
  ['a lock file of noise', () => writeFileSync(lock, randomBytes(8272)), 'whole'],
  ['an empty lock file', () => writeFileSync(lock, ''), 'whole'],
  ['no lock file', () => rmSync(lock), 'whole'],
  [
    'a folder in the place of the lock file',
    () => {
      rmSync(lock)
      mkdirSync(lock)
    },
    'refused',
  ],
  ['the mark of a start that was cut off', () => writeFileSync(join(copy, 'opening'), ''), 'whole'],
]

test.each(TABLE)('%s', async (_what, damage, outcome) => {
  damage()
  expect(await outcomeOf(copy, held)).toBe(outcome)
})

test(
  `${DAMAGES} random damages give one of the three answers`,
  async () => {
    const random = createRandom(SEED)
    const file = new DataFile(join(original, 'log.mdb'))
    const counts: Record<string, number> = {}
    for (let round = 0; round < DAMAGES; round++) {
      const bytes = Buffer.from(file.bytes)
      const length = [1, 4, 64, 512, PAGE][random(5)] ?? 1
      const at = random(file.used * PAGE - length)
      if (random(6) === 0) writeFileSync(data, bytes.subarray(0, at))
      else {
        for (let index = 0; index < length; index++) bytes[at + index] = random(256)
        writeFileSync(data, bytes)
      }
      const outcome = await outcomeOf(copy, held).catch((error: unknown) => {
        throw new Error(`seed ${SEED}, round ${round}: ${length} bytes at ${at}`, { cause: error })
      })
      counts[outcome] = (counts[outcome] ?? 0) + 1
    }
    console.log(`seed ${SEED}:`, counts)
    expect(Object.keys(counts).length).toBeGreaterThan(1)
  },
  DAMAGES * 2000,
)

describe('opening', () => {
  test('a file that ends LMDB by a signal ends only the process that tries it', () => {
    const { used } = new DataFile(data)
    truncateSync(data, Math.floor(used / 4) * PAGE)
    expect(probeStore(data)).toMatch(/ends by SIG(BUS|SEGV)/)
  })

  describe.each(['log.mdb', 'log.mdb-lock', 'opening'])('%s that is', (name) => {
    test.each([
      ['a folder', (path: string) => mkdirSync(path)],
      ['a link that leads nowhere', (path: string) => symlinkSync('/nowhere/x', path)],
      ['a pipe', (path: string) => void execFileSync('/usr/bin/mkfifo', [path])],
      ['a device', (path: string) => symlinkSync('/dev/zero', path)],
    ])('%s is refused, and reset sets it aside', async (_what, make) => {
      rmSync(join(copy, name), { force: true })
      make(join(copy, name))
      expect(() => Store.open(copy)).toThrow(`${name} in it is not a file`)
      const store = Store.open(copy, { recovery: 'reset' })
      await store.close()
      rmSync(String(store.replaced?.setAside), { recursive: true })
    })
  })

  test('a data file that is gone from beside its lock is refused, and reset begins anew', async () => {
    writeFileSync(join(copy, 'log.mdb-lock'), '')
    rmSync(data)
    expect(() => Store.open(copy)).toThrow('log.mdb in it is gone')
    const store = Store.open(copy, { recovery: 'reset' })
    await store.close()
    rmSync(String(store.replaced?.setAside), { recursive: true })
  })

  test.each<[what: string, write: Write]>([
    ['the facts of a thread', { table: 'threads', key: ['odd'], value: { version: 2 } }],
    ['facts that are none', { table: 'threads', key: ['odd'], value: null }],
    ['the head of a queue', { table: 'queue', key: ['odd', 1], value: Buffer.from('{"run":"r"}\n{}') }],
    ['a queue without a head', { table: 'queue', key: ['odd', 1], value: Buffer.from('x') }],
    ['a long queue head', { table: 'queue', key: ['odd', 1], value: Buffer.alloc(20_000, '[') }],
  ])('%s of another version: the start is refused, and reset begins anew', async (_what, write) => {
    const odd = await LmdbStorage.open(copy, { retentionBytes: 1024 ** 3 })
    await odd.commit({ threadId: 'odd', writes: [write] })
    await odd.close()
    expect(() => Store.open(copy, { isReadable })).toThrow(
      `The store in ${copy} cannot be used: an entry of its table "${write.table}" is not what this version writes. Put a copy of it back; or start with STATE_RECOVERY=reset`,
    )
    const store = Store.open(copy, { recovery: 'reset', isReadable })
    await store.close()
    rmSync(String(store.replaced?.setAside), { recursive: true })
  })

  test('with reset a damaged store is set aside as it is, and a new one begun', async () => {
    truncateSync(data, 5000)
    const store = Store.open(copy, { recovery: 'reset' })
    await store.close()
    const { setAside } = store.replaced ?? {}
    expect(setAside).toMatch(/copy\.damaged-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ$/)
    expect(new DataFile(join(String(setAside), 'log.mdb')).bytes).toHaveLength(5000)
    expect(readdirSync(copy)).not.toContain('opening')
    const again = Store.open(copy, { recovery: 'reset' })
    expect(again.replaced).toBeUndefined()
    await again.close()
    renameSync(String(setAside), join(copy, 'seen'))
  })
})
