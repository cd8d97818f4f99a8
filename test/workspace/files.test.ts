import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { WorkspaceFiles } from '../../src/workspace/files.ts'
import { removeTree } from '../../src/workspace/tree.ts'
import { NO_SIGNAL, openPlace, type Place } from './place.ts'

let place: Place

beforeEach(async () => {
  place = await openPlace()
})
afterEach(() => place.close())

const at = (path: string): string => join(place.workspace, path)

test('a listing names every entry with its path, kind, size and time, sorted', async () => {
  mkdirSync(at('b'))
  writeFileSync(at('a.txt'), '12345')
  expect(await place.files.list('')).toEqual({
    truncated: false,
    entries: [
      {
        name: 'a.txt',
        path: '/a.txt',
        isDir: false,
        size: 5,
        modifiedAt: statSync(at('a.txt')).mtime.toISOString().replace(/\.\d+/, ''),
      },
      expect.objectContaining({ name: 'b', path: '/b', isDir: true }),
    ],
  })
  expect((await place.files.list('a.txt')).entries.map(({ path }) => path)).toEqual(['/a.txt'])
  await expect(place.files.list('none')).rejects.toMatchObject({ code: 'not_found' })
})

test('a listing of more entries than the limit is cut and says so', async () => {
  for (let n = 0; n < 101; n++) writeFileSync(at(`${n}`), '')
  const files = new WorkspaceFiles(place.guard, { listEntriesMax: 100 })
  expect(await files.list('')).toMatchObject({ entries: { length: 100 }, truncated: true })
  await place.files.remove('0')
  expect(await files.list('')).toMatchObject({ entries: { length: 100 }, truncated: false })
})

test('a file is replaced as a whole, keeps its mode and leaves nothing beside it', async () => {
  writeFileSync(at('run.sh'), 'old')
  chmodSync(at('run.sh'), 0o750)
  await place.files.write('run.sh', [Buffer.from('new')], { bytesMax: 10, signal: NO_SIGNAL })
  expect(readFileSync(at('run.sh'), 'utf8')).toBe('new')
  expect(statSync(at('run.sh')).mode & 0o777).toBe(0o750)
  await place.files.write('deep/down/new', [], { bytesMax: 10, signal: NO_SIGNAL })
  expect(readFileSync(at('deep/down/new'), 'utf8')).toBe('')
  expect(readdirSync(place.workspace).sort()).toEqual(['deep', 'run.sh'])
})

test('content that is too long, or cut off, leaves the old file and nothing else', async () => {
  writeFileSync(at('a'), 'old')
  const options = { bytesMax: 10, signal: NO_SIGNAL }
  await expect(place.files.write('a', [Buffer.alloc(6), Buffer.alloc(6)], options)).rejects.toMatchObject({
    code: 'too_large',
  })
  const left = new AbortController()
  const cut = (async function* () {
    yield Buffer.from('begun')
    left.abort()
    yield Buffer.from('more')
  })()
  await expect(place.files.write('a', cut, { bytesMax: 100, signal: left.signal })).rejects.toThrow()
  expect(readFileSync(at('a'), 'utf8')).toBe('old')
  expect(readdirSync(place.workspace)).toEqual(['a'])
})

test('a folder is neither read, overwritten nor deleted as a file, and a file is no folder', async () => {
  mkdirSync(at('d'))
  writeFileSync(at('f'), '')
  const invalid = { code: 'invalid_input' }
  await expect(place.files.read('d')).rejects.toMatchObject(invalid)
  await expect(place.files.remove('d')).rejects.toMatchObject(invalid)
  const options = { bytesMax: 1, signal: NO_SIGNAL }
  await expect(place.files.write('d', [], options)).rejects.toMatchObject(invalid)
  await expect(place.files.write('f/x', [], options)).rejects.toMatchObject({ code: 'not_found' })
  await expect(place.files.remove('none')).rejects.toMatchObject({ code: 'not_found' })
})

test('what is appended to a file while it is sent is not sent', async () => {
  writeFileSync(at('log'), 'first')
  const { stream, size } = await place.files.read('log')
  writeFileSync(at('log'), 'first and second')
  let text = ''
  for await (const chunk of stream) text += chunk
  expect([text, size]).toEqual(['first', 5])
})

test('a folder is removed with read-only folders and links in it, and what they lead to stays', async () => {
  mkdirSync(at('repo/cache'), { recursive: true })
  writeFileSync(at('repo/cache/x'), '')
  chmodSync(at('repo/cache'), 0o500)
  writeFileSync(join(place.outside, 'kept'), '')
  symlinkSync(place.outside, at('repo/out'))
  const root = await place.guard.openFolder(await place.guard.resolve(''))
  await root.use(async () => {
    expect(await removeTree(root, 'repo', { signal: NO_SIGNAL })).toBe(true)
    expect(await removeTree(root, 'repo', { signal: NO_SIGNAL })).toBe(false)
  })
  expect(existsSync(at('repo'))).toBe(false)
  expect(readdirSync(place.outside)).toEqual(['kept'])
})

test('no descriptor stays open', async () => {
  writeFileSync(at('a'), 'x')
  mkdirSync(at('d'))
  const open = (): number => readdirSync('/proc/self/fd').length
  const before = open()
  const ways = [
    () => place.files.list(''),
    () => place.files.list('none'),
    () => place.files.read('d'),
    () => place.files.read('a').then(async ({ stream }) => await stream.toArray()),
    () => place.files.write('a/b', [], { bytesMax: 1, signal: NO_SIGNAL }),
    () => place.files.write('c', [Buffer.alloc(2)], { bytesMax: 1, signal: NO_SIGNAL }),
    () => place.files.remove('d'),
  ]
  for (let n = 0; n < 20; n++) for (const way of ways) await way().catch(() => undefined)
  expect(open()).toBeLessThan(before + 10)
})
