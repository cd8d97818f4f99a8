import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { hasErrno } from '../errno.ts'
import { RunnerError } from '../errors.ts'
import { type FolderLock, lockFolder } from './folder-lock.ts'

/** The first instance's greeting to a later one: its process id and address. */
const Greeting = z.object({ pid: z.number(), host: z.string(), port: z.number() })
export type Greeting = z.infer<typeof Greeting>
const Farewell = z.object({ exit: z.number() })

export interface Instance {
  /** Sends the exit code to every attached instance, and releases the folder. */
  close(exitCode: number): Promise<void>
}

/** Limit of the wait for the first instance's greeting, in milliseconds. Then the second one fails. */
const GREETING_MS = 5000
/** Limit of one farewell, in milliseconds. An attached instance may be suspended. */
const FAREWELL_MS = 1000
/** Further attempts to claim the folder when its holder ends in between. */
const CLAIMS_MAX = 3

/**
 * Makes this process the only runner on its state folder. When there is one already, `attached` waits for its end.
 * A control plane runs its start command again when the exec stream breaks, while the first process is still running
 * (openshell.md 3.4.3).
 *
 * The lock is a listening socket, and a lock on a file for those who cannot see the socket. The kernel releases both
 * however the process ends.
 *
 * @throws {RunnerError} `internal` when the holder does not answer, or cannot be reached.
 */
export async function claimFolder(
  stateDirectory: string,
  self: Greeting,
): Promise<{ instance: Instance } | { attached: Attached }> {
  const path = socketPath(stateDirectory)
  for (let attempt = 0; ; attempt++) {
    const server = await listen(path)
    if (server !== undefined) {
      const lock = await lockFolder(stateDirectory)
      if (lock !== undefined) return { instance: serveInstance(server, lock, self) }
      server.close()
      throw outOfReach(stateDirectory)
    }
    const attached = await attach(path, stateDirectory)
    if (attached !== undefined) return { attached }
    // The holder ended meanwhile: the folder is free, or another process holds it already.
    if (attempt === CLAIMS_MAX) throw silent(stateDirectory)
  }
}

function silent(stateDirectory: string): RunnerError {
  return new RunnerError(
    'internal',
    `Another runner holds the state folder ${stateDirectory} and does not answer: it is stopped, or hangs. Let it go on (kill -CONT) or end it (kill -KILL), or use another RUNNER_STATE_DIR.`,
  )
}

function outOfReach(stateDirectory: string): RunnerError {
  return new RunnerError(
    'internal',
    `Another runner holds the state folder ${stateDirectory}, in another container or network namespace. End it, or use another RUNNER_STATE_DIR.`,
  )
}

export interface Attached {
  first: Greeting
  /** The first instance's exit code. 1 when it died without a farewell, as OpenShell reports a death by signal. */
  exitCode: Promise<number>
}

function serveInstance(server: Server, lock: FolderLock, self: Greeting): Instance {
  const waiting = new Set<Socket>()
  server.on('connection', (socket) => {
    waiting.add(socket)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => waiting.delete(socket))
    socket.write(`${JSON.stringify(self)}\n`)
  })
  server.unref()
  return {
    async close(exitCode) {
      // The lock goes first: whoever gets the socket gets the lock.
      lock.release()
      server.close()
      await Promise.all([...waiting].map((socket) => sayFarewell(socket, exitCode)))
    },
  }
}

function sayFarewell(socket: Socket, exitCode: number): Promise<void> {
  return new Promise((resolve) => {
    const late = setTimeout(() => socket.destroy(), FAREWELL_MS)
    socket.once('close', () => {
      clearTimeout(late)
      resolve()
    })
    socket.end(`${JSON.stringify({ exit: exitCode })}\n`)
    socket.resume()
  })
}

/**
 * Connects to the holder of the folder. Returns undefined when it ended before its greeting.
 *
 * @throws {RunnerError} `internal` when the holder sends no greeting in time.
 */
async function attach(path: string, stateDirectory: string): Promise<Attached | undefined> {
  const socket = createConnection(path)
  const lines = linesOf(socket)
  let isLate = false
  const late = setTimeout(() => {
    isLate = true
    socket.destroy()
  }, GREETING_MS)
  const first = Greeting.safeParse(await lines())
  clearTimeout(late)
  if (isLate) throw silent(stateDirectory)
  if (!first.success) return undefined
  const exitCode = lines().then((said) => {
    socket.destroy()
    const farewell = Farewell.safeParse(said)
    return farewell.success ? farewell.data.exit : 1
  })
  return { first: first.data, exitCode }
}

/** Returns a reader of the next line as JSON. It resolves with undefined after the last one. */
function linesOf(socket: Socket): () => Promise<unknown> {
  socket.on('error', () => socket.destroy())
  const reader = createInterface({ input: socket })
  // A destroyed socket emits no end, so without this a reader would wait for the next line for ever.
  socket.once('close', () => reader.close())
  const lines = reader[Symbol.asyncIterator]()
  return async () => {
    try {
      const { done, value } = await lines.next()
      return done === true ? undefined : JSON.parse(value)
    } catch {
      // The line was cut off, which counts as no line.
      return undefined
    }
  }
}

/** Listens at the path. Returns undefined when another process listens there. */
async function listen(path: string): Promise<Server | undefined> {
  const server = createServer()
  try {
    server.listen(path)
    await once(server, 'listening')
    return server
  } catch (error) {
    if (!hasErrno(error, 'EADDRINUSE')) throw error
    if (path.startsWith('\0') || (await answers(path))) return undefined
    // The file belongs to a process that died: only abstract sockets are removed with their owner.
    rmSync(path, { force: true })
    return await listen(path)
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** Returns an abstract socket on Linux, and elsewhere a file in the state folder. */
function socketPath(stateDirectory: string): string {
  const name = createHash('sha256').update(stateDirectory).digest('hex').slice(0, 32)
  return process.platform === 'linux' ? `\0agui-runner-${name}` : `${stateDirectory}/runner.sock`
}
