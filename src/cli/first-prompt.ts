import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../config.ts'
import { hasErrno } from '../errno.ts'
import { RunnerError, toMessage } from '../errors.ts'
import type { Runner } from '../runner/create.ts'
import type { Logger } from '../telemetry/logger.ts'

/** The run id of a sandbox's first prompt. A state folder takes an id once, so the prompt never runs twice. */
export const FIRST_RUN_ID = 'initial-prompt'

/** Returns the id of the thread on which the first prompt is run. */
export function firstThreadId({ sessionId }: Config): string {
  return sessionId ?? FIRST_RUN_ID
}

export interface FirstPromptOptions {
  config: Config
  runner: Runner
  logger: Logger
  signal: AbortSignal
}

/**
 * Returns the prompt that the sandbox was started for; the file wins over the variable. Undefined when there is none,
 * on a resume, and when the control plane keeps a cursor: its first message is the prompt then (control-plane.md 1.6).
 *
 * @throws {RunnerError} `config_invalid` when the file is there and is no text that can be read.
 */
export async function firstPrompt(config: Config): Promise<string | undefined> {
  if (config.isResume || config.platformLink?.cursorFile !== undefined) return undefined
  const text = await readText(config.initialPromptFile)
  return text.trim() === '' ? config.initialPrompt : text
}

/** Returns nothing for a file that is missing. What was left there for the agent and cannot be read must not be lost. */
async function readText(path: string): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path))
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return ''
    const message = `INITIAL_PROMPT_FILE: ${path} is there, and cannot be read as text (${toMessage(error)}); mend or remove it.`
    throw new RunnerError('config_invalid', message, { cause: error })
  }
}

/**
 * Joins the workflow's startup prompt and the sandbox's own prompt to one message, as the Python runner sends it
 * (openshell.md 6.3). Waits until the repositories and the workflow are fetched. Undefined when there is neither prompt.
 */
export async function wholeFirstPrompt(
  own: string | undefined,
  { runner, signal }: Pick<FirstPromptOptions, 'runner' | 'signal'>,
): Promise<string | undefined> {
  const startup = await runner.startupPrompt(signal)
  const parts = [startup, own].filter((part) => part !== undefined)
  return parts.length === 0 ? undefined : parts.join('\n\n')
}

/** Whether the workflow may have a startup prompt. Whether it has one is known once it is fetched. */
export function mayHaveStartupPrompt({ workflow, isResume }: Config): boolean {
  return workflow !== undefined && !isResume
}

/**
 * Runs the first prompt on the sandbox's own thread. The network of a new sandbox may not be there yet
 * (openshell.md 1.7), so the model route is tried a few times first. The run itself reports a lasting problem.
 *
 * @returns whether the prompt was new to the state folder. When it was not, nothing is run.
 */
export async function runFirstPrompt(prompt: string, options: FirstPromptOptions): Promise<boolean> {
  const { config, runner, logger } = options
  const threadId = firstThreadId(config)
  await untilRouteAnswers(options)
  if (options.signal.aborted) return true
  try {
    await runner.submit({
      threadId,
      runId: FIRST_RUN_ID,
      messages: [{ id: FIRST_RUN_ID, role: 'user', content: prompt }],
      tools: [],
      context: [],
      // A client may have started a run while the workspace was set up.
      forwardedProps: { delivery: 'queue' },
    })
    logger.info({ threadId, runId: FIRST_RUN_ID }, 'initial prompt submitted')
    return true
  } catch (error) {
    const isKnown = error instanceof RunnerError && error.code === 'run_exists'
    if (!isKnown) throw error
    logger.info({ reason: toMessage(error) }, 'the initial prompt was run before on this state folder')
    return false
  }
}

/** Waits until the model route answers, for as many tries as Claude Code makes. The run reports a lasting problem. */
async function untilRouteAnswers({ config, runner, logger, signal }: FirstPromptOptions): Promise<void> {
  const { claudeRetriesMax, connectRetryDelayMs } = config.limits
  for (let attempt = 1; attempt <= claudeRetriesMax && !signal.aborted; attempt++) {
    const problem = await runner.routeProblem(signal).catch(() => undefined)
    if (problem === undefined) return
    logger.warn({ attempt, problem }, 'the model route does not answer yet')
    await delay(connectRetryDelayMs, undefined, { signal }).catch(() => {
      // The runner stops; the loop's condition ends it.
    })
  }
}
