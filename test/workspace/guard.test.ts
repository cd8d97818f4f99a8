import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { NO_SIGNAL, openPlace, type Place } from './place.ts'

let place: Place

beforeEach(async () => {
  place = await openPlace()
  mkdirSync(join(place.workspace, 'src/deep'), { recursive: true })
  writeFileSync(join(place.workspace, 'src/a.txt'), 'inside')
  writeFileSync(join(place.outside, 'secret.txt'), 'secret')
})
afterEach(() => place.close())

const write = (path: string, text = 'written'): Promise<number> =>
  place.files.write(path, [Buffer.from(text)], { bytesMax: 1000, signal: NO_SIGNAL })

async function read(path: string): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of (await place.files.read(path)).stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

const MAKE_PIPE = 'mkfifo'
const REFUSED = expect.objectContaining({ code: 'path_outside_workspace' })

describe('a path is refused', () => {
  test.each([
    ['that climbs', '../outside/secret.txt'],
    ['that climbs behind a folder', 'src/../../outside/secret.txt'],
    ['that climbs and comes back', 'src/../src/a.txt'],
    ['that climbs behind what does not exist', 'none/../../outside/secret.txt'],
    ['that is absolute and elsewhere', '/etc/passwd'],
    ['that only begins like the workspace', 'SIBLING/secret.txt'],
  ])('%s', async (_what, path) => {
    const attack = path.replace('SIBLING', `${place.workspace}-twin`)
    await expect(place.guard.resolve(attack)).rejects.toEqual(REFUSED)
    await expect(place.files.read(attack)).rejects.toEqual(REFUSED)
    await expect(write(attack)).rejects.toEqual(REFUSED)
    await expect(place.files.remove(attack)).rejects.toEqual(REFUSED)
    await expect(place.files.list(attack)).rejects.toEqual(REFUSED)
    expect(readdirSync(place.outside)).toEqual(['secret.txt'])
  })

  test.each([
    ['with NUL', 'src/a.txt\0.png'],
    ['with a name that is too long', 'n'.repeat(256)],
    ['that is too long', 'long/'.repeat(1000)],
  ])('%s', async (_what, path) => {
    await expect(place.guard.resolve(path)).rejects.toMatchObject({ code: 'invalid_input' })
  })
})

describe('a link', () => {
  const link = (target: string, name: string): void => symlinkSync(target, join(place.workspace, name))

  test('to a place in the workspace is followed, by the path it has', async () => {
    link('src', 'short')
    expect(await place.guard.resolve('short/a.txt')).toBe('src/a.txt')
    await write('short/new.txt')
    expect(readFileSync(join(place.workspace, 'src/new.txt'), 'utf8')).toBe('written')
  })

  test.each([
    ['a file outside', 'secret.txt', ''],
    ['a folder outside', '', '/secret.txt'],
    ['a folder outside, for a file that is not there', '', '/new.txt'],
  ])('to %s is refused to read and to write', async (_what, target, rest) => {
    link(join(place.outside, target), 'out')
    await expect(read(`out${rest}`)).rejects.toEqual(REFUSED)
    await expect(write(`out${rest}`)).rejects.toEqual(REFUSED)
    expect(readdirSync(place.outside)).toEqual(['secret.txt'])
    expect(readFileSync(join(place.outside, 'secret.txt'), 'utf8')).toBe('secret')
  })

  test('that dangles is refused: writing through it would make the file it points to', async () => {
    link(join(place.outside, 'made.txt'), 'dangling')
    link('nowhere-inside', 'dangling-inside')
    link(join(place.outside, 'none'), 'folder')
    for (const path of ['dangling', 'dangling-inside', 'folder/made.txt']) {
      await expect(write(path)).rejects.toEqual(REFUSED)
      await expect(read(path)).rejects.toEqual(REFUSED)
    }
    expect(readdirSync(place.outside)).toEqual(['secret.txt'])
  })

  test('through others that leads out in the end is refused, and one that goes in circles', async () => {
    link('second', 'first')
    link(place.outside, 'second')
    link('circle', 'circle')
    await expect(read('first/secret.txt')).rejects.toEqual(REFUSED)
    await expect(read('circle')).rejects.toEqual(REFUSED)
  })

  test('is what is deleted, and not what it leads to', async () => {
    link(join(place.outside, 'secret.txt'), 'out')
    await place.files.remove('out')
    expect(existsSync(join(place.workspace, 'out'))).toBe(false)
    expect(readFileSync(join(place.outside, 'secret.txt'), 'utf8')).toBe('secret')
  })

  test('says the same whether or not what it leads to exists', async () => {
    link('/etc/passwd', 'real')
    link('/etc/no-such-file', 'real2')
    const words = async (path: string): Promise<string> => {
      const error = await read(path).catch((refusal: Error) => refusal.message)
      return error.replace(path, '')
    }
    expect(await words('real2')).toBe(await words('real'))
  })

  test('that leads out is listed as a link, without the size of what it leads to', async () => {
    writeFileSync(join(place.outside, 'secret.txt'), 'x'.repeat(12_345))
    link(join(place.outside, 'secret.txt'), 'out')
    link('src', 'in')
    const { entries } = await place.files.list('')
    expect(entries.find(({ name }) => name === 'out')).toMatchObject({ isDir: false })
    expect(entries.find(({ name }) => name === 'out')?.size).not.toBe(12_345)
    expect(entries.find(({ name }) => name === 'in')).toMatchObject({ isDir: true, path: '/in' })
  })
})

describe('what is no file is neither read nor written', () => {
  test('a pipe, without waiting for its other end', async () => {
    execFileSync(MAKE_PIPE, [join(place.workspace, 'pipe')])
    await expect(read('pipe')).rejects.toEqual(REFUSED)
    await expect(write('pipe')).rejects.toEqual(REFUSED)
  })

  test('a socket', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(join(place.workspace, 'socket'), resolve))
    try {
      await expect(read('socket')).rejects.toEqual(REFUSED)
      await expect(write('socket')).rejects.toEqual(REFUSED)
    } finally {
      await new Promise((resolve) => server.close(resolve))
    }
  })

  test('a device', async () => {
    symlinkSync('/dev/zero', join(place.workspace, 'zero'))
    await expect(read('zero')).rejects.toEqual(REFUSED)
    const made = await new Promise<boolean>((resolve) => {
      try {
        execFileSync('mknod', [join(place.workspace, 'null'), 'c', '1', '3'], { stdio: 'ignore' })
        resolve(true)
      } catch {
        resolve(false)
      }
    })
    // Only root may make one; everywhere else the link above is the whole of it.
    if (made) await expect(write('null')).rejects.toEqual(REFUSED)
  })
})

test('the workspace itself cannot be deleted or overwritten', async () => {
  for (const path of ['', '.', './', place.workspace, `${place.workspace}/`]) {
    await expect(place.files.remove(path)).rejects.toEqual(REFUSED)
    await expect(write(path)).rejects.toMatchObject({ code: 'invalid_input' })
  }
  expect(existsSync(join(place.workspace, 'src/a.txt'))).toBe(true)
})

test('a workspace that is itself swapped for a link is not followed', async () => {
  renameSync(place.workspace, `${place.workspace}-moved`)
  symlinkSync(place.outside, place.workspace)
  await expect(read('secret.txt')).rejects.toEqual(REFUSED)
  await expect(write('new.txt')).rejects.toEqual(REFUSED)
  expect(readdirSync(place.outside)).toEqual(['secret.txt'])
})

test('an absolute path in the workspace is the same as the relative one', async () => {
  expect(await place.guard.resolve(join(place.workspace, 'src/a.txt'))).toBe('src/a.txt')
})

test('whatever a path is made of, what is proven lies in the workspace', async () => {
  symlinkSync(place.outside, join(place.workspace, 'out'))
  symlinkSync('..', join(place.workspace, 'src/up'))
  symlinkSync('../..', join(place.workspace, 'src/upper'))
  const part = fc.oneof(
    fc.constantFrom('src', 'deep', 'out', 'up', 'upper', '..', '.', '', '...', 'secret.txt', '%2e%2e', '~'),
    fc.string({ maxLength: 8 }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 8 }), fc.boolean(), async (parts, absolute) => {
      const path = `${absolute ? '/' : ''}${parts.join('/')}`
      const proven = await place.guard.resolve(path).catch((error: { code?: string }) => {
        expect(['path_outside_workspace', 'invalid_input', 'not_found']).toContain(error.code)
        return undefined
      })
      if (proven === undefined) return
      expect(proven.split('/')).not.toContain('..')
      for (const link of ['out', 'src/up', 'src/upper'])
        expect(`${proven}/`).not.toSatisfy((text: string) => text.startsWith(`${link}/`))
      await write(path).catch((error: { code?: string }) => {
        expect(['path_outside_workspace', 'invalid_input', 'not_found']).toContain(error.code)
      })
    }),
    { numRuns: 400 },
  )
  expect(readdirSync(place.directory).sort()).toEqual(['outside', 'workspace'])
  expect(readdirSync(place.outside)).toEqual(['secret.txt'])
})
