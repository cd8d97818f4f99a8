import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { nameToText, toBytes } from '../../src/workspace/file-name.ts'
import { removeTree } from '../../src/workspace/tree.ts'
import { NO_SIGNAL, openPlace, type Place } from './place.ts'

let place: Place

beforeEach(async () => {
  place = await openPlace()
})
afterEach(() => place.close())

const bytes = (latin1: string): Buffer => Buffer.from(latin1, 'latin1')
/** A path of the workspace whose end is bytes. */
const at = (latin1: string): Buffer => Buffer.concat([Buffer.from(`${place.workspace}/`), bytes(latin1)])

async function textOf(path: string): Promise<string> {
  const { stream } = await place.files.read(path)
  return Buffer.concat(await stream.toArray()).toString()
}

test.each([
  ['plain', 'plain'],
  ['a\\b \\x41', 'a\\b \\x41'],
  ['caf\xe9', 'caf\\xE9'],
  ['\\xE9', '\\x5CxE9'],
  ['\\x5CxE9', '\\x5Cx5CxE9'],
  ['\xc3\xa9\xff', 'é\\xFF'],
  ['\xed\xa0\x80', '\\xED\\xA0\\x80'],
])('the bytes %j are told as %j', (latin1, text) => {
  expect(nameToText(bytes(latin1))).toBe(text)
  expect(toBytes(text)).toEqual(bytes(latin1))
})

test('any bytes come back from their text, and no two have the same', () => {
  const part = fc.oneof(
    fc.uint8Array({ maxLength: 6 }).map((part) => Buffer.from(part)),
    fc.constantFrom('\\', '\\x', '5C', 'E9', 'é', '𝄞').map((part) => Buffer.from(part)),
  )
  fc.assert(
    fc.property(fc.array(part), (parts) => {
      const all = Buffer.concat(parts)
      expect(toBytes(nameToText(all))).toEqual(all)
    }),
  )
})

test('a name that is not UTF-8 is listed, read, replaced and removed by its text', async () => {
  mkdirSync(at('d\xe9'))
  writeFileSync(at('d\xe9/caf\xe9'), 'hello')
  writeFileSync(at('\\xE9'), 'literal')
  expect((await place.files.list('')).entries.map(({ path }) => path)).toEqual(['/\\x5CxE9', '/d\\xE9'])
  const { entries } = await place.files.list('d\\xE9')
  expect(entries).toMatchObject([{ name: 'caf\\xE9', path: '/d\\xE9/caf\\xE9', isDir: false, size: 5 }])
  expect(await textOf('d\\xE9/caf\\xE9')).toBe('hello')
  expect(await textOf('\\x5CxE9')).toBe('literal')
  await place.files.write('d\\xE9/caf\\xE9', [Buffer.from('new')], { bytesMax: 10, signal: NO_SIGNAL })
  expect(readFileSync(at('d\xe9/caf\xe9'), 'utf8')).toBe('new')
  await place.files.remove('d\\xE9/caf\\xE9')
  expect(readdirSync(at('d\xe9'))).toEqual([])
})

test('a folder with such names in it is removed whole', async () => {
  mkdirSync(at('tree/d\xe9'), { recursive: true })
  writeFileSync(at('tree/d\xe9/caf\xe9'), '')
  const root = await place.guard.openFolder(await place.guard.resolve(''))
  expect(await root.use(() => removeTree(root, 'tree', { signal: NO_SIGNAL }))).toBe(true)
  expect(readdirSync(place.workspace)).toEqual([])
})

test('an escaped name leads out of the workspace no more than another', async () => {
  writeFileSync(join(place.outside, 'secret'), '')
  for (const path of ['d\\xE9/../../outside/secret', '..\\x5C', '\\x2E\\x2E/outside/secret']) {
    await expect(place.files.read(path)).rejects.toMatchObject({
      code: expect.stringMatching(/^(path_outside_workspace|not_found)$/),
    })
  }
})

test('a path with half a character is refused, not taken for another name', async () => {
  writeFileSync(join(place.workspace, '\ufffd'), '')
  await expect(place.files.read('\udce9')).rejects.toMatchObject({ code: 'invalid_input' })
})
