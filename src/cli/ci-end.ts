// The end of a step: its outputs, its summary, and what its annotations say.
import { setOutput, summary } from '@actions/core'
import type { ForeignReport } from '../ci/foreign-report.ts'
import type { RefusedRequest } from '../ci/refused-requests.ts'
import { warn } from '../ci/step-log.ts'
import { cutBytes, type StepEnd, summaryOf } from '../ci/summary.ts'
import { printable } from '../printable.ts'
import { EXIT } from './exit.ts'
import { TIME_LIMIT } from './one-off-run.ts'

const WARNINGS_MAX = 10
const RESULT_BYTES_MAX = 64 * 1024
/** Of a problem without its advice. The summary has room for both. */
const PROBLEM_BYTES_MAX = 4096

/** The result of the step, as far as this command knows it. */
export interface KnownEnd extends Partial<StepEnd> {
  outcome: string
  exitCode: number
  result?: unknown
  files?: { log: string; events: string; audit: string }
}

/** Writes the step's outputs and its summary. */
export async function writeEnd({ result, files, ...end }: KnownEnd): Promise<void> {
  const { outcome, exitCode, mode, modeReason, branch, text = '', pullRequests = [] } = end
  const outputs = {
    ...{
      outcome,
      'exit-code': exitCode,
      mode,
      'mode-reason': modeReason,
      branch,
      'pr-url': pullRequests[0] ?? '',
    },
    ...{ 'log-file': files?.log, 'events-file': files?.events, 'audit-file': files?.audit },
    result: cutBytes(result === undefined ? text : JSON.stringify(result), RESULT_BYTES_MAX),
  }
  for (const [name, value] of Object.entries(outputs)) setOutput(name, value ?? '')
  const nothing = {
    problem: undefined,
    mode: undefined,
    modeReason: undefined,
    model: undefined,
    branch: undefined,
  }
  const none = { durationMs: 0, inputTokens: 0, outputTokens: 0, pullRequests: [], refused: [], text: '' }
  await summary.addRaw(summaryOf({ ...nothing, ...none, ...end })).write()
}

interface Problem {
  /** An error's code, or what else there is a word for. */
  title: string
  text: string
}

/** Returns the problem with advice. Undefined after a success. */
export function problemOf({ outcome, error, reason }: ForeignReport, exitCode: number): Problem | undefined {
  if (outcome === 'success')
    return exitCode === EXIT.ok
      ? undefined
      : { title: 'events-file', text: 'It has not everything: the log says why.' }
  if (outcome === 'interrupt')
    return {
      title: outcome,
      text: 'The run waits for an answer, which nobody can give here: set permission-mode, or ask for less.',
    }
  if (error === undefined)
    return {
      title: outcome,
      text:
        reason === TIME_LIMIT
          ? 'The time limit is reached: raise timeout-minutes, or ask for less.'
          : `The run was cancelled: ${shownProblem(reason)}.`,
    }
  const said = shownProblem(error.message)
  const advice = ADVICE.get(error.code) ?? 'docs/errors.md says what to do about that code.'
  return { title: error.code, text: exitCode === EXIT.failed ? `${said} ${advice}` : said }
}

/** Returns a text of anybody's as it may be shown. */
export const shownProblem = (text: string): string => cutBytes(printable(text), PROBLEM_BYTES_MAX)

const ADVICE = new Map([
  ['model_unauthorized', 'Mend the secret behind anthropic-api-key or anthropic-oauth-token.'],
  ['model_rate_limited', 'Run the job again later.'],
  ['model_overloaded', 'Run the job again later.'],
])

/** Warns of refused hosts, the most frequent reason why a task fails. */
export function warnOfEgress(refused: readonly RefusedRequest[]): void {
  const hosts = refused.filter(({ door }) => door === 'egress')
  for (const { request, reason } of hosts.slice(0, WARNINGS_MAX))
    warn('refused', printable(`${request}: ${reason}`))
}
