import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { newId, Runner } from '@agui-runner/client'
import { type Env, loadConfig } from '../config.ts'
import { RunnerError } from '../errors.ts'
import { openRunner } from '../runner/open.ts'
import { StateFolder } from '../runner/state-folder.ts'
import { createLogger } from '../telemetry/logger.ts'
import type { CliContext } from './context.ts'
import { claimFolder } from './instance.ts'

export interface Here {
  readonly runner: Runner
  /** Ends runs and processes. Safe to call twice. */
  close(): Promise<void>
}

/** The threads of one working folder. Each has a state folder of its own, so that several can run at the same time. */
export class HereThreads {
  readonly #directory: string

  constructor({ env, workingDirectory }: Pick<CliContext, 'env' | 'workingDirectory'>) {
    this.#directory = join(stateHome(env), 'here', digest(workingDirectory))
  }

  stateDirectory(threadId: string): string {
    return join(this.#directory, digest(threadId))
  }

  /** Returns the thread of the last run in this folder. Undefined when there was none. */
  async last(): Promise<string | undefined> {
    try {
      return (await readFile(this.#lastFile, 'utf8')).trim() || undefined
    } catch {
      return undefined
    }
  }

  async setLast(threadId: string): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
    const draft = `${this.#lastFile}.${newId()}`
    await writeFile(draft, `${threadId}\n`, { mode: 0o600 })
    await rename(draft, this.#lastFile)
  }

  get #lastFile(): string {
    return join(this.#directory, 'last')
  }
}

/** Returns the folder of all state. It is outside of the working folder, where git and the agent would find it. */
function stateHome(env: Env): string {
  const { RUNNER_STATE_DIR, XDG_STATE_HOME, HOME } = env
  if (RUNNER_STATE_DIR) return RUNNER_STATE_DIR
  return join(XDG_STATE_HOME || join(HOME || homedir(), '.local', 'state'), 'agui-runner')
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}

export interface HereOptions {
  context: CliContext
  threadId: string
  stateDirectory: string
  model: string | undefined
  /** Called when the runner cannot go on. */
  onFatal(error: unknown): void
}

/**
 * Starts a runner in this process on the current folder, behind a loopback port and a token that only this process has.
 *
 * @throws {RunnerError} `thread_busy` when another process runs this thread.
 */
export async function openHere({ context, ...options }: HereOptions): Promise<Here> {
  const { threadId, stateDirectory, model, onFatal } = options
  const token = randomBytes(32).toString('base64url')
  const env: Env = {
    ...context.env,
    WORKSPACE_PATH: context.env['WORKSPACE_PATH'] || context.workingDirectory,
    RUNNER_STATE_DIR: stateDirectory,
    LOG_FILE: join(stateDirectory, 'logs', 'runner.log'),
    AGUI_HOST: '127.0.0.1',
    AGUI_PORT: '0',
    AGUI_TOKEN: token,
    SESSION_ID: threadId,
    // The run belongs to the person at this terminal, so no control plane is connected.
    AMBIENT_GRPC_ENABLED: '',
    ...(model === undefined ? {} : { LLM_MODEL: model }),
  }
  const config = loadConfig(env, context)
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 })
  const self = { pid: process.pid, host: config.host, port: config.port }
  const claimed = await claimFolder(stateDirectory, self)
  if ('attached' in claimed) {
    const { pid } = claimed.attached.first
    throw new RunnerError(
      'thread_busy',
      `Another run (pid ${pid}) is on thread "${threadId}". Wait for it, or use another --thread.`,
    )
  }
  const logging = await createLogger({ level: config.logLevel, file: config.logFile, console: 'none' })
  const stateFolder = new StateFolder(stateDirectory)
  const release = async (): Promise<void> => {
    stateFolder.close()
    await logging.close()
    await claimed.instance.close(0)
  }
  try {
    const served = await openRunner({
      config,
      version: context.version,
      env,
      logger: logging.logger,
      stateFolder,
      isMock: false,
      onRunEnded() {},
      onFatal,
    })
    stateFolder.watch(onFatal)
    await served.serve().catch(async (error: unknown) => {
      await served.close()
      throw error
    })
    return {
      runner: new Runner({ url: served.url, token }),
      async close() {
        await served.close()
        await release()
      },
    }
  } catch (error) {
    await release()
    throw error
  }
}
