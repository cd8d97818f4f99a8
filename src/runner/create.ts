import type { RunAgentInput } from '@ag-ui/core'
import type { RunEnd } from '../agent/agent.ts'
import { inBackground } from '../background.ts'
import { loadMcpConfig } from '../claude/launch/mcp-config.ts'
import { decidePermissionMode } from '../claude/launch/permission-mode.ts'
import type { Config, Env } from '../config.ts'
import { toMessage } from '../errors.ts'
import { detectRoute } from '../model-route/route.ts'
import { isConfining } from '../sandbox/report.ts'
import type { Logger } from '../telemetry/logger.ts'
import { logRuns } from '../telemetry/run-log.ts'
import type { ThreadState } from '../thread/told.ts'
import { openAgent } from './agent.ts'
import { checkModel } from './checks.ts'
import { CloseStack } from './close-stack.ts'
import { logCredentials, openCredentials, redactorOf } from './credentials.ts'
import { openEnforcement } from './enforcement.ts'
import { lazyMetrics, runnerSources } from './metric-sources.ts'
import { readinessOf } from './readiness.ts'
import { type OpenServer, openServer } from './server.ts'
import { clearPlace, openStorage } from './state.ts'
import type { StateFolder } from './state-folder.ts'
import { openThreads } from './threads.ts'
import { prepareWorkspace, startupPromptOf } from './workspace.ts'

export interface RunnerOptions {
  config: Config
  version: string
  /** What the model route is found in and Claude Code's environment is taken from. */
  env: Env
  logger: Logger
  stateFolder: StateFolder
  /** Where `env` has its credentials from, when that is a file; undefined when the environment itself has them. */
  credentialFile?: string | undefined
  /** Variables of `env` that the agent has beside those of its route. */
  alsoPass?: readonly string[]
  /** The route leads to our own mock: nothing real is behind it. */
  isMock: boolean
  /** A part of the runner is open; what it throws ends the start, as a failure of the next part would. */
  onOpened?(part: string): void
  /** A run has ended, its terminal event committed. */
  onRunEnded(run: { threadId: string; runId: string; end: RunEnd }): void
  /** The log cannot be written: nothing more can be promised. */
  onFatal(error: unknown): void
}

export interface Runner {
  /** Serves; resolves with the address. */
  listen(): Promise<string>
  /** Admits a run that no client has sent. */
  submit(input: RunAgentInput): Promise<unknown>
  stateOf(threadId: string): Promise<ThreadState | undefined>
  /** What the environment's workflow has to say first, when it is there; waits for the workspace until `signal`. */
  startupPrompt(signal: AbortSignal): Promise<string | undefined>
  /** Why the model route does not answer; `undefined` when it does. */
  routeProblem(signal: AbortSignal): Promise<string | undefined>
  /** Ends runs and processes, then the server. Idempotent; bounded by SHUTDOWN_GRACE_MS. */
  close(): Promise<void>
}

/** The composition root. Every part has an owner that closes it, also when a later part cannot be opened. */
export async function createRunner(options: RunnerOptions): Promise<Runner> {
  const opened = new CloseStack()
  try {
    return await open(options, opened)
  } catch (error) {
    // The failure that counts is the first one.
    await opened.close().catch(() => undefined)
    throw error
  }
}

async function open(options: RunnerOptions, opened: CloseStack): Promise<Runner> {
  const { config, env, logger, onOpened } = options
  const { limits } = config
  const signal = AbortSignal.timeout(limits.claudeStartTimeoutMs)
  const route = await detectRoute({ env, wrappersDirectory: config.wrappersDirectory, signal })
  const credentials = opened.adopt(await openCredentials(options, route), (it) => it.close())
  const redactor = redactorOf(options, credentials.token)
  opened.defer(logRuns(logger))
  onOpened?.('credentials')
  const mark = await clearPlace(config)

  const enforcement = opened.adopt(await openEnforcement(options, credentials.modelUrl, signal), (it) =>
    it.close(),
  )
  onOpened?.('enforcement')
  const storage = opened.adopt(await openStorage(config, logger), (it) => it.close())
  onOpened?.('store')
  // Closed behind the log, which ends the readers with their last record: then only bytes are left to send.
  let server: OpenServer | undefined
  opened.defer(() => server?.close())
  const log = opened.adopt(storage.log, (it) => it.close())
  const isEnforced = isConfining(enforcement.report)
  const permissionMode = decidePermissionMode(config.permissionMode, {
    env,
    isMock: options.isMock,
    isEnforced,
  })
  const { kind, reason, baseUrl, proxyUrl, caFile } = route
  logger.info({ kind, reason, baseUrl, proxyUrl, caFile, permissionMode }, 'model route')
  const workspace = opened.adopt(await prepareWorkspace({ ...options, storage }), (it) => it.setup.close())
  onOpened?.('workspace')
  const mcp = await loadMcpConfig(config.mcpConfigFile)
  const parts = { route, credentials, permissionMode, mark, enforcement, workspace, mcp, storage }
  const agent = opened.adopt(await openAgent(options, parts), (it) => it.binary.close())
  onOpened?.('agent')
  const threads = opened.adopt(
    openThreads({ ...options, ...limits, enforcement, redactor, agent, storage }),
    (it) => it.close(),
  )
  await threads.recover()
  onOpened?.('threads')
  const metrics = lazyMetrics(runnerSources({ enforcement, threads, log }))
  server = await openServer({
    ...options,
    ...{ redactor, enforcement, log, threads, blobs: storage.blobs, workspace },
    isAsking: permissionMode !== 'never-ask',
    checks: readinessOf({
      ...options,
      ...{ route, credentials, enforcement, redactor, workspace, storage, agent, mcp },
    }),
    metrics: async () => (await metrics()).read(),
  })
  onOpened?.('server')
  const { listen } = server
  return {
    async listen() {
      const url = await listen()
      // Before the first run; not before the first client.
      opened.adopt(await metrics(), (it) => it.close())
      threads.resume()
      inBackground({ name: 'telling of credentials' }, logCredentials(credentials, enforcement, logger))
      inBackground({ name: 'setting the workspace up' }, workspace.setup.start())
      const { sessionId: threadId } = config
      // The thread's first run reports a failure again.
      if (threadId !== undefined) inBackground({ name: 'warming up', threadId }, threads.warm(threadId))
      return url
    },
    submit: (input) => threads.submit(input),
    startupPrompt: (untilSignal) => startupPromptOf(workspace, config, untilSignal),
    stateOf: async (threadId) => (await threads.find(threadId))?.describe().state,
    routeProblem: (probeSignal) =>
      checkModel(route, probeSignal, credentials.through).then(() => undefined, toMessage),
    close: () => opened.close(),
  }
}
