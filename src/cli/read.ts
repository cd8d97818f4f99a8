import { Command } from 'commander'
import { loadConfig } from '../config.ts'
import { toMessage } from '../errors.ts'
import { openReader } from '../runner/open.ts'
import type { OpenReader } from '../runner/reader.ts'
import { createLogger } from '../telemetry/logger.ts'
import type { CliContext } from './context.ts'
import { EXIT, exitCodeOfServer } from './exit.ts'
import { shutDown } from './serve.ts'
import { stopSignal } from './stop-signal.ts'

export function readCommand(context: CliContext): Command {
  return new Command('read')
    .description('Serve what the runners on a Redis (EVENT_LOG_URL) have logged, and nothing else')
    .action(async () => process.exit(await read(context)))
}

/** Serves until a signal. @returns the exit code. */
async function read(context: CliContext): Promise<number> {
  const { env, version, isTerminal } = context
  const config = loadConfig(env, context)
  const logging = await createLogger({ level: config.logLevel, console: isTerminal ? 'pretty' : 'json' })
  const { logger } = logging
  const stopping = stopSignal(() => logger.info('stopping'))
  let reader: OpenReader | undefined
  let code: number = EXIT.ok
  try {
    reader = await openReader({ config, version, env, logger })
    reader.serve()
    logger.info({ url: reader.url, pid: process.pid }, 'listening')
    await stopping.stopped
  } catch (error) {
    code = exitCodeOfServer(error)
    logger.fatal({ err: error }, toMessage(error))
  }
  const isClosed = await shutDown(reader, logging, config.limits.shutdownGraceMs)
  return isClosed ? code : EXIT.internal
}
