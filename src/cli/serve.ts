import { once } from 'node:events'
import { Command } from 'commander'
import { type Env, loadConfig } from '../config.ts'
import { toMessage } from '../errors.ts'
import { createRunner, type Runner } from '../runner.ts'
import { createLogger, type RunnerLogger } from '../telemetry/logger.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit.ts'

export interface ServeOptions extends CliContext {
  env: Env
  isMock: boolean
  /** Called when the server listens, with its address. */
  onListening?(url: string): void
}

export function serveCommand(context: CliContext): Command {
  return new Command('serve')
    .description('Serve AG-UI over HTTP; configured by the environment (README, "Configuration")')
    .action(() => serve({ ...context, isMock: false }))
}

/** Runs the server until a signal; sets the process's exit code. */
export async function serve(options: ServeOptions): Promise<void> {
  const { env, isMock } = options
  const config = loadConfig(env, options)
  const logging = await createLogger({
    level: config.logLevel,
    file: config.logFile,
    pretty: options.isTerminal,
  })
  const { logger } = logging
  const stopping = stopSignal(() => logger.info('stopping'))
  let code: number = EXIT.ok
  let runner: Runner | undefined
  try {
    const onFatal = (error: unknown): void => {
      logger.fatal({ err: error }, 'the event log cannot be written')
      code = EXIT.internal
      stopping.stop()
    }
    runner = await createRunner({ config, env, logger, isMock, onFatal })
    if (config.isInsecure)
      logger.warn(
        { host: config.host },
        'AGUI_INSECURE: anyone who reaches this address may drive the runner',
      )
    const url = await runner.listen()
    logger.info({ url, pid: process.pid }, 'listening')
    options.onListening?.(url)
    await stopping.stopped
  } catch (error) {
    code = EXIT.internal
    logger.fatal({ err: error }, toMessage(error))
  }
  await shutDown(runner, logging, config.limits.shutdownGraceMs)
  process.exitCode = code
  process.exit()
}

async function shutDown(runner: Runner | undefined, logging: RunnerLogger, graceMs: number): Promise<void> {
  const late = setTimeout(() => {
    logging.logger.error(`not everything ended within SHUTDOWN_GRACE_MS (${graceMs} ms)`)
    process.exit(EXIT.internal)
  }, graceMs)
  try {
    await runner?.close()
  } catch (error) {
    logging.logger.error({ err: error }, 'closing failed')
    process.exitCode = EXIT.internal
  }
  clearTimeout(late)
  await logging.close()
}

/** The first SIGTERM or SIGINT stops in good order, a second one at once. */
function stopSignal(onFirst: () => void): { stopped: Promise<unknown>; stop(): void } {
  const abort = new AbortController()
  const onSignal = (): void => {
    if (abort.signal.aborted) process.exit(EXIT.internal)
    onFirst()
    abort.abort()
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  return { stopped: once(abort.signal, 'abort'), stop: () => abort.abort() }
}
