import { capabilitiesOf } from '../claude/capabilities.ts'
import type { Config, Env } from '../config.ts'
import type { Listener } from '../http/listener.ts'
import type { LivingAgent } from '../http/platform/living-threads.ts'
import { openPlatform } from '../http/platform/open-platform.ts'
import type { ServerOptions } from '../http/server.ts'
import { buildServer } from '../http/server.ts'
import { Subscribers } from '../http/stream/subscribers.ts'
import type { Redactor } from '../redaction/redactor.ts'
import type { Enforcement } from '../sandbox/enforcement.ts'
import { isConfining } from '../sandbox/report.ts'
import type { Blobs } from '../storage/blob.ts'
import type { EventLog } from '../storage/event-log.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Threads } from '../thread/threads.ts'
import type { Workspace } from '../workspace/workspace.ts'

interface Served extends Pick<ServerOptions, 'checks' | 'metrics' | 'whereabouts'> {
  config: Config
  listener: Listener
  version: string
  env: Env
  logger: Logger
  redactor: Redactor
  enforcement: Enforcement
  log: EventLog
  threads: Threads
  blobs: Blobs
  workspace: Workspace
  /** Whether the agent may ask a person for permission. */
  isAsking: boolean
}

export interface OpenServer {
  /** Answers what the listener holds, and all that comes. */
  serve(): void
  /** Lets open answers finish for a moment, then ends every connection. Safe to call twice. */
  close(): Promise<void>
}

/** Builds the HTTP server. Only the checks of each request get the token. */
export async function openServer(parts: Served): Promise<OpenServer> {
  const { config, listener, redactor, log, threads, blobs, workspace, checks, metrics, whereabouts } = parts
  const { limits, sessionId } = config
  const logger = parts.logger.child({})
  const app = await buildServer({
    ...doorsOf(config),
    logger,
    redactor,
    log,
    threads,
    blobs,
    checks,
    metrics,
    whereabouts,
    subscribers: new Subscribers({ ...limits, log, keepaliveMs: limits.sseKeepaliveMs }),
    capabilities: describeCapabilities(parts),
    platform: openPlatform({
      sessionId,
      settingSources: config.settingSources,
      slashCommands: config.slashCommands,
      fileBytesMax: limits.fileBytesMax,
      uploadBodyBytesMax: limits.uploadBodyBytesMax,
      workspace,
      log,
      threads,
      redactor,
      living: livingAgent(threads),
    }),
  })
  return await serverOf(app, listener)
}

/** Returns the part of the configuration that the server needs to admit and limit requests. */
export function doorsOf({
  limits,
  token,
  allowedHosts,
  allowedOrigins,
  trustedProxies,
  forwardRuns,
  onDisconnect,
  sessionId,
}: Config) {
  return {
    ...limits,
    token,
    allowedHosts,
    allowedOrigins,
    trustedProxies,
    forwardRuns,
    onDisconnect,
    sessionId,
  }
}

export async function serverOf(
  app: Awaited<ReturnType<typeof buildServer>>,
  listener: Listener,
): Promise<OpenServer> {
  await app.ready()
  return {
    serve: () => listener.handOver(app.server),
    async close() {
      await Promise.all([app.close(), listener.close()])
    },
  }
}

function describeCapabilities({ config, version, isAsking, enforcement }: Served) {
  const { model, sessionId } = config
  const isSandboxed = isConfining(enforcement.report)
  const maxExecutionTimeMs = config.limits.runTimeoutMs
  return capabilitiesOf({
    version,
    model,
    sessionId,
    isAsking,
    isSandboxed,
    maxExecutionTimeMs,
    isWorking: true,
  })
}

/** Returns the operations that need the agent of a thread. */
function livingAgent(threads: Threads): LivingAgent {
  return {
    mcpServers: async (id, signal) =>
      (await (await threads.find(id))?.agent.toolServers(signal))?.map((server) => ({ ...server })),
    stopTask: async (id, taskId, signal) =>
      (await (await threads.find(id))?.agent.stopTask(taskId, signal)) ?? false,
    taskOutput: async (id, taskId) => await (await threads.find(id))?.agent.taskOutput(taskId),
  }
}
