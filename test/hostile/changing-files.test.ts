// A file that changes between the moment its length is told and the moment it is read: its answer has exactly the
// bytes that were announced, or the connection ends.
import { once } from 'node:events'
import { appendFileSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import Fastify, { type FastifyInstance } from 'fastify'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { workspaceFileRoutes } from '../../src/http/platform/workspace-files.ts'
import { type Listing, type OpenedFile, WorkspaceFiles } from '../../src/workspace/files.ts'
import { openRaw, type RawSocket } from '../support/raw-socket.ts'
import { openPlace, type Place } from '../workspace/place.ts'

/** The kernel takes nothing from between the two, so the change is made where it hurts. */
class ChangingFiles extends WorkspaceFiles {
  change: (opened: OpenedFile | Listing) => void | Promise<void> = () => {}

  override async open(path: string): Promise<OpenedFile | Listing> {
    const opened = await super.open(path)
    await this.change(opened)
    return opened
  }
}

const KIB = 1024

let place: Place
let files: ChangingFiles
let app: FastifyInstance
let socket: RawSocket

beforeEach(async () => {
  place = await openPlace()
  files = new ChangingFiles(place.guard)
  app = Fastify()
  await app.register(workspaceFileRoutes({ files, fileBytesMax: 1 }))
  socket = await openRaw(await app.listen({ port: 0, host: '127.0.0.1' }))
})
afterEach(async () => {
  socket.destroy()
  await app.close()
  place.close()
})

const at = (name: string): string => join(place.workspace, name)
const ask = (name: string, method = 'GET'): void =>
  socket.send(`${method} /workspace/${name} HTTP/1.1\r\nHost: HOST\r\n\r\n`)
const lengthOf = (answer: string): number => Number(/content-length: (\d+)/i.exec(answer)?.[1])
const bodyOf = (answer: string): string => answer.slice(answer.indexOf('\r\n\r\n') + 4)

test.each([
  ['nothing', ''],
  ['something', 'told'],
])('a file of %s that grows gives what it had, and the next answer is whole', async (_name, content) => {
  writeFileSync(at('log'), content)
  writeFileSync(at('next'), 'next')
  files.change = () => appendFileSync(at('log'), 'x'.repeat(100 * KIB))
  ask('log')
  const first = await socket.heard(/\r\n\r\n/)
  expect(lengthOf(first)).toBe(content.length)
  files.change = () => {}
  ask('next')
  const both = await socket.heard(/\r\n\r\nnext$/)
  expect(both.split('HTTP/1.1 200 OK')).toHaveLength(3)
  expect(bodyOf(both).startsWith(`${content}HTTP/1.1 200 OK`)).toBe(true)
  expect(both).not.toContain('xx')
})

test.each([
  ['to a part', 300 * KIB, 200 * KIB],
  ['to a byte less', 300 * KIB, 300 * KIB - 1],
])('a file that is cut %s ends the connection', async (_name, size, left) => {
  writeFileSync(at('log'), 'x'.repeat(size))
  files.change = () => truncateSync(at('log'), left)
  ask('log')
  const answer = await socket.closed
  expect(lengthOf(answer)).toBe(size)
  expect(bodyOf(answer).length).toBeLessThanOrEqual(left)
})

test('a file that is cut to nothing before its answer begins is an error of its own length', async () => {
  writeFileSync(at('log'), 'told')
  files.change = () => truncateSync(at('log'), 0)
  ask('log')
  const answer = await socket.heard(/\}$/)
  expect(answer).toMatch(/^HTTP\/1\.1 404 /)
  expect(lengthOf(answer)).toBe(bodyOf(answer).length)
})

test('a file that is cut while a slow reader takes it ends the connection', async () => {
  writeFileSync(at('log'), '')
  truncateSync(at('log'), 64 * KIB * KIB)
  ask('log')
  await socket.heard(/\r\n\r\n/)
  socket.pause()
  truncateSync(at('log'), 1)
  socket.resume()
  expect(bodyOf(await socket.closed).length).toBeLessThan(64 * KIB * KIB)
})

test('a file that is replaced or removed meanwhile is sent as it was', async () => {
  writeFileSync(at('log'), 'told')
  files.change = () => unlinkSync(at('log'))
  ask('log')
  expect(bodyOf(await socket.heard(/told$/))).toBe('told')
})

test('HEAD of a file that is cut tells a length and nothing else; the connection lives', async () => {
  writeFileSync(at('log'), 'told')
  files.change = () => truncateSync(at('log'), 0)
  ask('log', 'HEAD')
  const answer = await socket.heard(/\r\n\r\n/)
  expect([lengthOf(answer), bodyOf(answer)]).toEqual([4, ''])
  writeFileSync(at('next'), 'next')
  files.change = () => {}
  ask('next')
  expect(await socket.heard(/next$/)).toMatch(
    /^HTTP\/1\.1 200 OK(?:(?!HTTP)[\s\S])*HTTP\/1\.1 200 OK[\s\S]*\r\n\r\nnext$/,
  )
})

test('a file whose client left before its answer began is closed', async () => {
  writeFileSync(at('log'), 'told')
  const asked = once(app.server, 'request')
  const opened = new Promise<Readable>((resolve) => {
    files.change = async (file) => {
      const [request] = await asked
      const left = once(request.socket, 'close')
      socket.destroy()
      await left
      if ('stream' in file) resolve(file.stream)
    }
  })
  ask('log')
  const file = await opened
  if (!file.closed) await once(file, 'close')
})
