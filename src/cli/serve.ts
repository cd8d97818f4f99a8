import { once } from 'node:events'
import { realpathSync } from 'node:fs'
import { Command } from 'commander'
import type { RunEnd } from '../agent/agent.ts'
import { type Config, type Env, loadConfig } from '../config.ts'
import { toMessage } from '../errors.ts'
import type { GatewayRelay } from '../launch/gateway-relay.ts'
import type { Runner } from '../runner/create.ts'
import { makeFolder } from '../runner/made-folder.ts'
import { openRunner } from '../runner/open.ts'
import { StateFolder } from '../runner/state-folder.ts'
import { createLogger, type Logger, type RunnerLogger } from '../telemetry/logger.ts'
import { AwaitedRun } from './awaited-run.ts'
import type { CliContext } from './context.ts'
import { credentialFileOption, withCredentialFile } from './credential-file.ts'
import { EXIT, exitCodeOfServer } from './exit.ts'
import {
  type FirstPromptOptions,
  firstPrompt,
  firstThreadId,
  runFirstPrompt,
  wholeFirstPrompt,
} from './first-prompt.ts'
import { type Attached, claimFolder } from './instance.ts'
import { stopSignal, whenOrphaned } from './stop-signal.ts'

export interface ServeOptions extends CliContext {
  env: Env
  isMock: boolean
  /** The file that `env`'s credentials were read from. Undefined when the environment itself has them. */
  credentialFile?: string | undefined
  /** Whether the process ends when the one that started it has ended. */
  isTiedToParent: boolean
  /** Called with the server's address when it listens. */
  onListening?(url: string): void
}

export function serveCommand(context: CliContext): Command {
  return new Command('serve')
    .description('Serve AG-UI over HTTP; configured by the environment (docs/configuration.md)')
    .addOption(credentialFileOption())
    .action(({ credentialFile }: { credentialFile?: string }) => {
      const env = withCredentialFile(context.env, credentialFile)
      return serve({ ...context, env, credentialFile, isMock: false, isTiedToParent: false })
    })
}

/**
 * Runs the server until a signal, or waits for the runner that serves this state folder already. Ends the process.
 */
export async function serve(options: ServeOptions): Promise<void> {
  const config = loadConfig(options.env, options)
  await makeFolder('RUNNER_STATE_DIR', config.stateDirectory)
  const stateDirectory = realpathSync(config.stateDirectory)
  const { host, port } = config
  const claimed = await claimFolder(stateDirectory, { pid: process.pid, host, port })
  if ('attached' in claimed) {
    process.exit(await waitForFirst(claimed.attached, { host, port }))
  }
  const code = await serveAlone(options, config)
  await claimed.instance.close(code)
  process.exit(code)
}

/** @returns the exit code. */
async function serveAlone(options: ServeOptions, config: Config): Promise<number> {
  const { env, isMock, isTerminal, isTiedToParent } = options
  const console = isTerminal ? 'pretty' : 'json'
  const logging = await createLogger({ level: config.logLevel, file: config.logFile, console })
  const { logger } = logging
  const stateFolder = new StateFolder(config.stateDirectory)
  const stopping = stopSignal(() => logger.info('stopping'))
  if (isTiedToParent) {
    whenOrphaned(() => {
      logger.info('stopping: the process that started this one has ended')
      stopping.stop()
    })
  }
  let code: number = EXIT.ok
  let runner: Runner | undefined
  let relay: GatewayRelay | undefined
  const fail = (message: string) => (error: unknown) => {
    logger.fatal({ err: error }, `${message}: ${toMessage(error)}`)
    code = EXIT.internal
    stopping.stop()
  }
  const endWith = (ended: number | undefined): void => {
    if (ended === undefined) return
    code = ended
    stopping.stop()
  }
  const release = catchTheRest(fail)
  try {
    const onFatal = fail('the event log cannot be written')
    const own = await firstPrompt(config)
    const awaited = new AwaitedRun(config, own)
    const onRunEnded = ({ runId, end }: { runId: string; end: RunEnd }): void => {
      // A run that a signal has cut short does not count: the process was asked to end, and exits with 0.
      if (!stopping.signal.aborted) endWith(awaited.ended(runId, end))
    }
    if (config.gatewaySocket !== undefined) {
      const { openGatewayRelay } = await import('../launch/gateway-relay.ts')
      relay = await openGatewayRelay(config.gatewaySocket, env)
    }
    runner = await openRunner({
      config,
      version: options.version,
      env: relay === undefined ? env : { ...env, ...relay.environment },
      logger,
      stateFolder,
      isMock,
      alsoPass: Object.keys(relay?.environment ?? {}),
      credentialFile: options.credentialFile,
      firstPrompt: own,
      onRunEnded,
      onFatal,
    })
    warnOfDoors(config, logger)
    stateFolder.watch(onFatal)
    await runner.serve()
    const { url } = runner
    logger.info({ url, pid: process.pid }, 'listening')
    options.onListening?.(url)
    if (awaited.isFirst)
      endWith(await runFirst(own, awaited, { config, runner, logger, signal: stopping.signal }))
    await stopping.stopped
  } catch (error) {
    code = exitCodeOfServer(error)
    logger.fatal({ err: error }, toMessage(error))
  }
  stateFolder.close()
  const isClosed = await shutDown(runner, logging, config.limits.shutdownGraceMs)
  await relay?.close()
  release()
  return isClosed ? code : EXIT.internal
}

/** Runs the first prompt. @returns the exit code when an earlier process has run it and this one ends therefore. */
async function runFirst(
  own: string | undefined,
  awaited: AwaitedRun,
  first: FirstPromptOptions,
): Promise<number | undefined> {
  const { config, runner } = first
  const prompt = await wholeFirstPrompt(own, first)
  if (prompt === undefined) awaited.withoutFirst()
  if (prompt === undefined || (await runFirstPrompt(prompt, first))) return undefined
  return awaited.endedBefore(await runner.stateOf(firstThreadId(config)))
}

function warnOfDoors({ isInsecure, host, token, platformLink }: Config, logger: Logger): void {
  if (isInsecure) logger.warn({ host }, 'AGUI_INSECURE: anyone who reaches this address may drive the runner')
  if (token !== undefined && platformLink !== undefined)
    logger.warn('AGUI_TOKEN: the control plane’s proxy sends none, so what it asks for is refused')
}

/**
 * Handles every error that no owner caught. It is a bug of ours with unknown effects, so the runner stops in good
 * order: the runs' ends are logged and the processes ended.
 *
 * @returns a function that removes the handlers.
 */
function catchTheRest(fail: (message: string) => (error: unknown) => void): () => void {
  const onRejection = fail('a promise was rejected that nobody awaits: the runner stops')
  const onException = fail('an exception was thrown that nobody catches: the runner stops')
  process.on('unhandledRejection', onRejection)
  process.on('uncaughtException', onException)
  return () => {
    process.off('unhandledRejection', onRejection)
    process.off('uncaughtException', onException)
  }
}

/** Waits as the second instance. The last exit code decides the session's state, so the first one's is returned. */
async function waitForFirst(
  { first, exitCode }: Attached,
  wanted: { host: string; port: number },
): Promise<number> {
  if (first.host !== wanted.host || first.port !== wanted.port) {
    process.stderr.write(
      `agui-runner: a runner (pid ${first.pid}) serves this state folder at ${first.host}:${first.port}; use another RUNNER_STATE_DIR, or that address.\n`,
    )
    return EXIT.config
  }
  process.stderr.write(
    `agui-runner: attached to the runner that is there already (pid ${first.pid}); waiting for its end.\n`,
  )
  return await exitCode
}

/** Closes the runner within `graceMs` milliseconds, then the log. @returns whether it ended in time without an error. */
export async function shutDown(
  runner: Pick<Runner, 'close'> | undefined,
  logging: RunnerLogger,
  graceMs: number,
): Promise<boolean> {
  const { logger } = logging
  const deadline = new AbortController()
  const timer = setTimeout(() => deadline.abort(), graceMs)
  const closed = (runner?.close() ?? Promise.resolve()).then(
    () => true,
    (error: unknown) => {
      logger.error({ err: error }, 'closing failed')
      return false
    },
  )
  const isClosed = await Promise.race([closed, once(deadline.signal, 'abort').then(() => false)])
  clearTimeout(timer)
  if (deadline.signal.aborted) logger.error(`not everything ended within SHUTDOWN_GRACE_MS (${graceMs} ms)`)
  await logging.close()
  return isClosed
}
