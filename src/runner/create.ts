import type { RunAgentInput } from '@ag-ui/core'
import { loadMcpConfig } from '../claude/launch/mcp-config.ts'
import { decidePermissionMode } from '../claude/launch/permission-mode.ts'
import { toMessage } from '../errors.ts'
import { detectRoute } from '../model-route/route.ts'
import { isConfining } from '../sandbox/report.ts'
import { logRuns } from '../telemetry/run-log.ts'
import type { ThreadState } from '../thread/thread-description.ts'
import { checkBinarySoon, openAgent } from './agent.ts'
import { begin } from './begin.ts'
import { checkModel } from './checks.ts'
import { CloseStack } from './close-stack.ts'
import { openCredentials, redactorOf } from './credentials.ts'
import { openEnforcement } from './enforcement.ts'
import { lazyMetrics, runnerSources } from './metric-sources.ts'
import type { RunnerOptions } from './options.ts'
import { providerOf, startOtlp } from './otlp.ts'
import { openLink } from './platform-link.ts'
import { collectWhenQuiet } from './quiet.ts'
import { readinessOf } from './readiness.ts'
import { type OpenServer, openServer } from './server.ts'
import { clearLeftovers, openStorage } from './state.ts'
import { openThreads } from './threads.ts'
import { prepareWorkspace, startupPromptOf } from './workspace.ts'

export interface Runner {
  /** The address: an http URL, or `unix:` and the path of a socket. */
  readonly url: string
  /** Serves the clients that the listener holds, and all that come; begins the work that no client waits for. */
  serve(): Promise<void>
  /** Admits a run that no client has sent. */
  submit(input: RunAgentInput): Promise<unknown>
  stateOf(threadId: string): Promise<ThreadState | undefined>
  /** Returns the start-up prompt of the environment's workflow, if any. Waits for the workspace until `signal`. */
  startupPrompt(signal: AbortSignal): Promise<string | undefined>
  /** Returns why the model route does not answer, and `undefined` when it answers. */
  routeProblem(signal: AbortSignal): Promise<string | undefined>
  /** Ends runs and processes, then the server. Safe to call twice; bounded by SHUTDOWN_GRACE_MS. */
  close(): Promise<void>
}

/** Creates the runner: the composition root. Every opened part is closed again when a later part cannot be opened. */
export function createRunner(options: RunnerOptions): Promise<Runner> {
  return CloseStack.opening((opened) => open(options, opened))
}

async function open(options: RunnerOptions, opened: CloseStack): Promise<Runner> {
  opened.defer(() => options.listener.close())
  const { config, env, logger, onOpened } = options
  const { limits } = config
  const signal = AbortSignal.timeout(limits.claudeStartTimeoutMs)
  const route = await detectRoute({ env, wrappersDirectory: config.wrappersDirectory, signal })
  const credentials = opened.adopt(await openCredentials(options, route), (it) => it.close())
  const redactor = redactorOf(options, credentials.token)
  opened.defer(logRuns(logger))
  opened.defer(collectWhenQuiet())
  onOpened?.('credentials')
  const mark = await clearLeftovers(config)
  const enforcement = opened.adopt(await openEnforcement(options, credentials.modelUrl, signal), (it) =>
    it.close(),
  )
  onOpened?.('enforcement')
  const storage = opened.adopt(await openStorage(config, logger), (it) => it.close())
  onOpened?.('store')
  // The server is closed after the log, which ends its readers with their last record. Only bytes remain to be sent.
  let server: OpenServer | undefined
  opened.defer(() => server?.close())
  // Closed after the log as well, because the last runs must end first.
  let endOtlp: (() => Promise<void>) | undefined
  opened.defer(() => endOtlp?.())
  const log = opened.adopt(storage.log, (it) => it.close())
  // The link is closed after the threads, because it pushes their last records.
  let link: Awaited<ReturnType<typeof openLink>>
  opened.defer(() => link?.close())
  const permissionMode = decidePermissionMode(config.permissionMode, {
    env,
    isMock: options.isMock,
    isEnforced: isConfining(enforcement.report),
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
  link = await openLink({ ...options, redactor, storage, threads })
  const provider = providerOf(kind)
  const metrics = lazyMetrics(runnerSources({ enforcement, threads, log, link, provider }))
  endOtlp = await startOtlp({ ...options, metrics, routeKind: route.kind })
  server = await openServer({
    ...options,
    ...{ redactor, enforcement, log, threads, blobs: storage.blobs, workspace },
    whereabouts: (threadId) => storage.tenancy.whereabouts(threadId),
    isAsking: permissionMode !== 'never-ask',
    checks: readinessOf({ ...options, ...parts, redactor, agent, link }),
    metrics: async () => (await metrics()).read(),
  })
  onOpened?.('server')
  const { serve } = server
  return {
    url: options.listener.url,
    async serve() {
      // The metrics count from the first run.
      opened.adopt(await metrics(), (it) => it.close())
      serve()
      begin(options, { threads, credentials, enforcement, workspace })
      opened.adopt(checkBinarySoon(agent, logger), clearImmediate)
      link?.start()
    },
    submit: (input) => threads.submit(input),
    startupPrompt: (untilSignal) => startupPromptOf(workspace, config, untilSignal),
    stateOf: async (threadId) => (await threads.find(threadId))?.describe().state,
    routeProblem: (probeSignal) =>
      checkModel(route, probeSignal, credentials.through).then(() => undefined, toMessage),
    close: () => opened.close(),
  }
}
