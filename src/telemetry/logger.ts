import { accessSync, constants, mkdirSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import pino, { type DestinationStream, type Logger } from 'pino'
import { createStream, type RotatingFileStream } from 'rotating-file-stream'

export type { Logger }

export interface LoggerOptions {
  level: string
  /** Path of a rotated copy of the log. It is left out, with a warning, when its folder cannot be written. */
  file?: string
  /** What stdout gets for each record: a JSON line, a readable coloured line, or nothing where it has another use. */
  console: 'json' | 'pretty' | 'none'
}

export interface RunnerLogger {
  logger: Logger
  /** Flushes the buffer and closes the file. Bounded in time, because the reader of stdout may have stopped. */
  close(): Promise<void>
}

/** The filter that every line of a logger passes before it is written. */
const lineFilters = new WeakMap<Logger, { redact(line: string): string }>()

/** Passes every further line of `logger` and of its children through `redact`. */
export function redactLines(logger: Logger, redact: (line: string) => string): void {
  const filter = lineFilters.get(logger)
  if (filter !== undefined) filter.redact = redact
}

/** The size at which the file is rotated, and how many older files are kept. */
const LOG_FILE_SIZE = '50M'
const LOG_FILES_MAX = 3
/** Upper bound of the buffer for stdout, in bytes. Beyond it, lines are dropped so that the server never stops. */
const STDOUT_BUFFER_BYTES_MAX = 1024 * 1024
const FLUSH_MS = 500

/**
 * Creates a logger with JSON lines on stdout and a rotated copy in a file. Writes asynchronously: stdout may be a pipe
 * that nobody reads, and a synchronous write to it would freeze the server (openshell.md 3.4.2).
 */
export async function createLogger(options: LoggerOptions): Promise<RunnerLogger> {
  const destination = pino.destination({ dest: 1, sync: false, maxLength: STDOUT_BUFFER_BYTES_MAX })
  // EPIPE means that the reader of stdout has gone. The file still gets every line.
  destination.on('error', () => {})
  const stdout = options.console === 'pretty' ? await prettyStream() : destination
  const problem = options.file === undefined ? undefined : writeProblem(dirname(options.file))
  const file = options.file === undefined || problem !== undefined ? undefined : rotatingFile(options.file)
  const console = options.console === 'none' ? [] : [stdout]
  const streams = [...console, ...(file === undefined ? [] : [file])].map((stream) => ({
    stream,
    level: 'trace' as const,
  }))
  const filter = { redact: (line: string): string => line }
  const logger = pino(
    {
      level: options.level,
      base: null,
      formatters: { level: (label) => ({ level: label }) },
      hooks: { streamWrite: (line) => filter.redact(line) },
    },
    pino.multistream(streams),
  )
  lineFilters.set(logger, filter)
  if (problem !== undefined)
    logger.warn({ file: options.file, problem }, 'no log file: its folder cannot be written')
  const flushed = (write: (done: () => void) => void): Promise<void> =>
    new Promise((resolve) => {
      setTimeout(resolve, FLUSH_MS).unref()
      write(() => resolve())
    })
  return {
    logger,
    async close() {
      await Promise.all([
        flushed((done) => destination.flush(done)),
        flushed((done) => (file === undefined ? done() : file.end(done))),
      ])
    },
  }
}

async function prettyStream(): Promise<DestinationStream> {
  const { PinoPretty } = await import('pino-pretty')
  return PinoPretty({ translateTime: 'SYS:HH:MM:ss.l' })
}

function rotatingFile(file: string): RotatingFileStream {
  const stream = createStream(basename(file), {
    path: dirname(file),
    size: LOG_FILE_SIZE,
    rotate: LOG_FILES_MAX,
  })
  // A disk that fills up later stops the copy, never the server.
  stream.on('error', () => {})
  return stream
}

function writeProblem(folder: string): string | undefined {
  try {
    mkdirSync(folder, { recursive: true })
    accessSync(folder, constants.W_OK)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
