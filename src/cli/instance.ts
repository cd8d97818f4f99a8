import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { RunnerError } from '../errors.ts'

/** What the first instance leaves for a second one to read. */
const Greeting = z.object({ pid: z.number(), host: z.string(), port: z.number() })
export type Greeting = z.infer<typeof Greeting>
const Farewell = z.object({ exit: z.number() })

export interface Instance {
  /** Tells everyone who waits the exit code, and lets go of the folder. */
  close(exitCode: number): Promise<void>
}

/** A second instance that hears nothing from the first for this long says so and goes. */
const GREETING_MS = 5000
/** What one that waits has for taking its farewell; it may be stopped itself. */
const FAREWELL_MS = 1000
/** How often the folder is asked for when its holder vanishes in between. */
const CLAIMS_MAX = 3

/**
 * Makes this process the only runner on its state folder; or, when there is one already, `attached` waits for its
 * end. A control plane runs its start command again when the exec stream breaks, while the first process lives on
 * (openshell.md 3.4.3).
 *
 * The lock is a listening socket, so that the kernel lets go of it whatever the process dies of.
 */
export async function claimFolder(
  stateDirectory: string,
  self: Greeting,
): Promise<{ instance: Instance } | { attached: Attached }> {
  const path = socketPath(stateDirectory)
  for (let attempt = 0; ; attempt++) {
    const server = await listen(path)
    if (server !== undefined) return { instance: serveInstance(server, self) }
    const attached = await attach(path, stateDirectory)
    if (attached !== undefined) return { attached }
    // It went while we asked: the folder is free, or somebody else's already.
    if (attempt === CLAIMS_MAX) throw silent(stateDirectory)
  }
}

function silent(stateDirectory: string): RunnerError {
  return new RunnerError(
    'internal',
    `Another runner holds the state folder ${stateDirectory} and does not answer: it is stopped, or hangs. Let it go on (kill -CONT) or end it (kill -KILL), or use another RUNNER_STATE_DIR.`,
  )
}

export interface Attached {
  first: Greeting
  /** The first one's exit code; 1 when it died without a word, as OpenShell reports a death by signal. */
  exitCode: Promise<number>
}

function serveInstance(server: Server, self: Greeting): Instance {
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
 * `undefined` when nobody greets because the holder has gone.
 *
 * @throws {RunnerError} when the holder takes the connection, or lets it wait, and says nothing.
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

/** The next line as JSON; `undefined` when there is none any more. */
function linesOf(socket: Socket): () => Promise<unknown> {
  socket.on('error', () => socket.destroy())
  const reader = createInterface({ input: socket })
  // A socket that is destroyed has no end, and whoever waits for its next line would wait for ever.
  socket.once('close', () => reader.close())
  const lines = reader[Symbol.asyncIterator]()
  return async () => {
    try {
      const { done, value } = await lines.next()
      return done === true ? undefined : JSON.parse(value)
    } catch {
      // Cut off in mid-line: as good as nothing said.
      return undefined
    }
  }
}

/** `undefined` when another process listens there. */
async function listen(path: string): Promise<Server | undefined> {
  const server = createServer()
  try {
    server.listen(path)
    await once(server, 'listening')
    return server
  } catch (error) {
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
    if (!isTaken) throw error
    if (path.startsWith('\0') || (await answers(path))) return undefined
    // The file of one that died: only abstract sockets vanish with their owner.
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

/** Linux has sockets without a file; elsewhere one lies in the state folder. */
function socketPath(stateDirectory: string): string {
  const name = createHash('sha256').update(stateDirectory).digest('hex').slice(0, 32)
  return process.platform === 'linux' ? `\0agui-runner-${name}` : `${stateDirectory}/runner.sock`
}
