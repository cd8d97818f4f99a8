// The runner's own server, threads and store in this process, and the scripted agent behind them: for tests of what
// stands before the agent. Where Claude Code, or a process of the runner's own, is the point: runner.ts.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { type Config, loadConfig } from '../../src/config.ts'
import { Listener } from '../../src/http/listener.ts'
import { createRedactor } from '../../src/redaction/redactor.ts'
import { openServer } from '../../src/runner/server.ts'
import { openStorage } from '../../src/runner/state.ts'
import { openThreads } from '../../src/runner/threads.ts'
import { prepareWorkspace } from '../../src/runner/workspace.ts'
import { startEnforcement } from '../../src/sandbox/start.ts'
import type { Storage } from '../../src/storage/storage.ts'
import type { Threads } from '../../src/thread/threads.ts'
import { type LogLine, LogLines } from './log-lines.ts'
import { type ScriptedAgent, type ScriptedAgentOptions, scriptedAgent } from './scripted-agent.ts'

function fail(error: unknown): never {
  throw error
}

export interface ScriptedRunner {
  readonly url: string
  readonly agent: ScriptedAgent
  readonly threads: Threads
  readonly storage: Storage
  readonly config: Config
  /** The first line of its log, past or to come, for which `test` holds. */
  line(test: (line: LogLine) => boolean): Promise<LogLine>
  close(): Promise<void>
}

/** What is closed between the threads and the log. */
interface Linked {
  close(): Promise<void>
}

interface Place {
  /** Kept by whoever made it, for a runner after this one; one that is made here is removed. */
  directory?: string
  link?(runner: Omit<ScriptedRunner, 'close' | 'line' | 'url'>): Promise<Linked>
}

export async function openScriptedRunner(
  options: ScriptedAgentOptions,
  variables: Record<string, string> = {},
  place: Place = {},
): Promise<ScriptedRunner> {
  const directory = place.directory ?? mkdtempSync(join(tmpdir(), 'agui-scripted-test-'))
  const [workspace, state] = [join(directory, 'workspace'), join(directory, 'state')]
  for (const folder of [workspace, state]) mkdirSync(folder, { recursive: true })
  const env = {
    HOME: directory,
    WORKSPACE_PATH: workspace,
    RUNNER_STATE_DIR: state,
    AGUI_PORT: '0',
    ...variables,
  }
  const config = loadConfig(env, { appDirectory: process.cwd(), workingDirectory: directory })
  const { limits } = config
  const lines = new LogLines()
  const logger = pino({ base: null }, { write: (text) => lines.add(JSON.parse(text)) })
  const { wrappersDirectory, policyFile, stateDirectory, logFile, claudeState } = config
  const enforcement = await startEnforcement({
    ...{
      mode: 'off',
      policyFile,
      workspace,
      stateDirectory,
      logFile,
      wrappersDirectory,
      claudeState,
      env,
      logger,
    },
    modelUrl: undefined,
    findClaude: async () => fail(new Error('nobody asks for Claude Code here')),
  })
  const storage = await openStorage(config, logger, () => true)
  const { log, blobs } = storage
  const redactor = createRedactor({ values: [] })
  const agent = scriptedAgent(options)
  const parts = { redactor, enforcement, log, blobs, logger, storage }
  const threads = openThreads({ ...limits, ...parts, agent, onRunEnded: () => undefined, onFatal: fail })
  await threads.recover()
  const listener = await Listener.open({ ...config, ...limits })
  const { url } = listener
  const server = await openServer({
    ...parts,
    ...{ config, listener, env, version: '0', threads, isAsking: true },
    workspace: await prepareWorkspace({ config, env, logger, storage }),
    whereabouts: (threadId) => storage.tenancy.whereabouts(threadId),
    checks: async () => [],
    metrics: async () => ({ contentType: 'text/plain', text: '' }),
  })
  const link = await place.link?.({ agent, threads, storage, config })
  server.serve()
  threads.resume()
  const close = async (): Promise<void> => {
    await threads.close()
    await link?.close()
    await log.close()
    await server.close()
    await storage.close()
    await enforcement.close()
    if (place.directory === undefined) rmSync(directory, { recursive: true, force: true })
  }
  let closing: Promise<void> | undefined
  return {
    url,
    agent,
    threads,
    storage,
    config,
    line: (test) => lines.first(test),
    close: () => (closing ??= close()),
  }
}
