import { randomUUID } from 'node:crypto'
import { capabilitiesOf } from '../claude/capabilities.ts'
import { isMemory, lookAt } from '../claude/memory.ts'
import type { Config, Env } from '../config.ts'
import { RunnerError } from '../errors.ts'
import type { Listener } from '../http/listener.ts'
import { buildServer } from '../http/server.ts'
import { Subscribers } from '../http/stream/subscribers.ts'
import { readKnownSecrets } from '../redaction/known-secrets.ts'
import { createRedactor } from '../redaction/redactor.ts'
import { type Logger, redactLines } from '../telemetry/logger.ts'
import { ReadThreads } from '../thread/read-threads.ts'
import { StoredThreads } from '../thread/stored-threads.ts'
import { attempt, checkOf } from './checks.ts'
import { CloseStack } from './close-stack.ts'
import { lazyMetrics, readerSources } from './metric-sources.ts'
import { startOtlp } from './otlp.ts'
import { doorsOf, type OpenServer, serverOf } from './server.ts'
import { checkRoom, openSharedStorage } from './state.ts'

export interface ReaderOptions {
  config: Config
  /** It listens already. The reader takes it over, and closes it. */
  listener: Listener
  version: string
  env: Env
  logger: Logger
}

export interface OpenReader extends OpenServer {
  /** As the runner's. */
  readonly url: string
}

/**
 * Creates a server that reads the threads of other processes from their shared Redis. It has no agent, no workspace and
 * no state folder.
 *
 * @throws {RunnerError} `config_invalid` without EVENT_LOG_URL, and the errors of `openStorage`.
 */
export function createReader(options: ReaderOptions): Promise<OpenReader> {
  return CloseStack.opening((opened) => open(options, opened))
}

async function open(
  { config, listener, version, env, logger }: ReaderOptions,
  opened: CloseStack,
): Promise<OpenReader> {
  opened.defer(() => listener.close())
  const { eventLogUrl, limits, sessionId, model } = config
  if (eventLogUrl === undefined) {
    throw new RunnerError('config_invalid', 'EVENT_LOG_URL: must be set; it names the Redis that is read.')
  }
  const redactor = createRedactor({ values: readKnownSecrets(env) })
  redactLines(logger, redactor.redactText)
  const storage = opened.adopt(await openSharedStorage(config, eventLogUrl, randomUUID()), (it) => it.close())
  const { log, blobs } = storage
  // The server is closed after the log, which ends its readers with their last record.
  let server: OpenServer | undefined
  opened.defer(() => server?.close())
  opened.adopt(log, (it) => it.close())
  // A log is readable whichever version wrote it. An unknown agent memory is left out.
  const stored = new StoredThreads(storage, (memory) =>
    isMemory(memory) ? lookAt(memory, model) : { warm: false, interrupts: [] },
  )
  const metrics = lazyMetrics(readerSources(log))
  opened.adopt(await startOtlp({ config, version, env, logger, metrics }), (end) => end())
  const app = await buildServer({
    ...doorsOf(config),
    logger,
    redactor,
    log,
    blobs,
    threads: new ReadThreads(storage, stored),
    whereabouts: (threadId) => storage.tenancy.whereabouts(threadId),
    checks: async () => [checkOf(await attempt('state', () => checkRoom(storage)), redactor)],
    metrics: async () => (await metrics()).read(),
    subscribers: new Subscribers({ ...limits, log, keepaliveMs: limits.sseKeepaliveMs }),
    capabilities: capabilitiesOf({
      ...{ version, model, sessionId, isAsking: true, isSandboxed: false, isWorking: false },
      maxExecutionTimeMs: limits.runTimeoutMs,
    }),
    platform: undefined,
  })
  server = await serverOf(app, listener)
  const { serve } = server
  return { url: listener.url, serve, close: () => opened.close() }
}
