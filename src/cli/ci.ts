import { randomBytes } from 'node:crypto'
import { mkdir, realpath } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { setOutput, summary } from '@actions/core'
import { Command } from 'commander'
import { ForeignReport } from '../ci/foreign-report.ts'
import { INPUT_NAMES, type Inputs, JOB_TOKEN, readInputs, variableOf } from '../ci/inputs.ts'
import { type Job, judgeJob, readJob } from '../ci/job.ts'
import { type RefusedRequest, readRefused } from '../ci/refused-requests.ts'
import { annotate, ForeignWords, mask, warn } from '../ci/step-log.ts'
import { cutBytes, type StepEnd, summaryOf } from '../ci/summary.ts'
import type { Env } from '../config.ts'
import { RunnerError, toMessage } from '../errors.ts'
import { readCheckout } from '../launch/checkout.ts'
import { printable } from '../printable.ts'
import { isWithin } from '../sandbox/bwrap/places.ts'
import { readAppKey } from './app-key.ts'
import { checkJobApp, checkJobToken, rightOf } from './ci-github.ts'
import type { CliContext } from './context.ts'
import { EXIT, exitCodeOfError } from './exit.ts'
import { OneOff, type OneOffReport, TIME_LIMIT } from './one-off-run.ts'
import { parseRunFlags } from './run.ts'

/** Milliseconds after the SIGINT of GitHub's runner. It sends SIGTERM 7.5 s after that, and kills 2.5 s later. */
const HURRY_MS = 4000
const LEAVE_MS = 6500
const WARNINGS_MAX = 10
const RESULT_BYTES_MAX = 64 * 1024
/** Of a problem without its advice. The summary has room for both. */
const PROBLEM_BYTES_MAX = 4096

/** Variables of a step that a run must not inherit: credentials and inputs. */
const OF_THE_STEP = [
  ...['ANTHROPIC_API_KEY', 'ANTHROPIC_AUTH_TOKEN', 'CLAUDE_CODE_OAUTH_TOKEN', 'GITHUB_TOKEN', JOB_TOKEN],
  ...['GITHUB_APP_ID', 'GITHUB_APP_INSTALLATION_ID', 'GITHUB_APP_PRIVATE_KEY'],
  ...['ACTIONS_RUNTIME_TOKEN', 'ACTIONS_ID_TOKEN_REQUEST_TOKEN', 'ACTIONS_ID_TOKEN_REQUEST_URL'],
  ...INPUT_NAMES.map(variableOf),
]
const SECRETS = ['anthropic-api-key', 'anthropic-oauth-token', 'github-token', 'app-private-key'] as const

/** `agui-runner ci`: the command of the first step in action/action.yml. */
export function ciCommand(context: CliContext): Command {
  return new Command('ci')
    .description('Run one prompt as a step of GitHub Actions (docs/ci.md)')
    .action(async () => process.exit(await runStep(context)))
}

/** @returns the exit code. */
async function runStep(context: CliContext): Promise<number> {
  const { env } = context
  mask([...SECRETS.map((name) => env[variableOf(name)] ?? ''), env[JOB_TOKEN] ?? ''])
  const cancellation = new Cancellation()
  try {
    const admission = admit(env)
    await cancellation.race(admission)
    if (cancellation.isBegun) {
      await tell({ outcome: 'cancelled', exitCode: EXIT.cancelled })
      return EXIT.cancelled
    }
    return await new Step(context, await admission, cancellation).run()
  } catch (error) {
    const exitCode = exitCodeOfError(error)
    const code = error instanceof RunnerError ? error.code : 'internal'
    const problem = shownProblem(toMessage(error))
    annotate(code, problem)
    const isStep = env['GITHUB_OUTPUT'] && env['GITHUB_STEP_SUMMARY']
    // Where one of them cannot be written, that is the problem, and the annotation has said it.
    if (isStep) await tell({ outcome: 'error', exitCode, problem }).catch(() => undefined)
    return exitCode
  }
}

/** What GitHub's runner sends to the step of a cancelled job: SIGINT, and SIGTERM when that was not enough. */
class Cancellation {
  readonly begun: Promise<unknown>
  readonly isUrgent: Promise<unknown>
  isBegun = false

  constructor() {
    this.begun = new Promise((resolve) => process.on('SIGINT', resolve).on('SIGTERM', resolve))
    this.isUrgent = this.begun.then(() => {
      this.isBegun = true
      return new Promise((resolve) => process.once('SIGTERM', resolve))
    })
  }

  /** Resolves when `work` has ended. When cancelled, `work` has `HURRY_MS` more to put its things in order. */
  async race(work: Promise<unknown>): Promise<void> {
    const ended = work.catch(() => undefined)
    await Promise.race([ended, this.begun.then(() => delay(HURRY_MS)), this.isUrgent])
  }
}

/** Checks the job, the inputs and the access to GitHub before anything is started. */
async function admit(env: Env): Promise<{ job: Job; inputs: Inputs }> {
  const job = await readJob(env)
  // The job is judged before the inputs: a fork's job lacks its inputs because it is a fork's.
  const token = env[JOB_TOKEN] || env[variableOf('github-token')] || ''
  await judgeJob(job, (login) => rightOf(login, { repository: job.repository, access: 'read', token }, env))
  const inputs = readInputs(env)
  const { repository } = job
  const { access, 'github-token': given = '', 'app-id': appId } = inputs
  if (appId === undefined) await checkJobToken({ repository, access, token: given }, env)
  else {
    const privateKey = await readAppKey({ variable: variableOf('app-private-key') }, env)
    const installationId = Number(inputs['app-installation-id'] ?? 0) || undefined
    await checkJobApp({ appId, privateKey, installationId }, { repository, access }, env)
  }
  return { job, inputs }
}

class Step {
  readonly #context: CliContext
  readonly #job: Job
  readonly #inputs: Inputs
  readonly #cancellation: Cancellation
  /** The folder of the files that stay for later steps. */
  readonly #folder: string

  constructor(
    context: CliContext,
    { job, inputs }: { job: Job; inputs: Inputs },
    cancellation: Cancellation,
  ) {
    this.#context = context
    this.#job = job
    this.#inputs = inputs
    this.#cancellation = cancellation
    this.#folder = join(job.temporary, `agui-runner-${randomBytes(6).toString('hex')}`)
  }

  async run(): Promise<number> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
      throw new RunnerError('config_invalid', `RUNNER_TEMP cannot be written: ${toMessage(error)}.`)
    })
    const [log, events, audit] = ['run.log', 'events.ndjson', 'audit.ndjson'].map((name) =>
      join(this.#folder, name),
    ) as [string, string, string]
    const { actor, event, repository, workspace } = this.#job
    const context = { ...this.#context, env: await this.#environment(), workingDirectory: workspace }
    const flags = parseRunFlags(await this.#arguments({ events, audit }), context.version)
    const words = new ForeignWords(log)
    const say = (line: string): void => words.line(`agui-runner: ${printable(line)}`)
    say(`${context.version} on ${repository}: ${event} by ${actor}`)
    const oneOff = new OneOff(context, flags, {
      stdin: Readable.from([]),
      say,
      onText: (text) => words.write(printable(text)),
    })
    const report = await Promise.race([oneOff.run(), this.#cancelled(oneOff)])
    const problem = await words.end()
    if (problem !== undefined) warn('log-file', `It has not everything: ${problem.message}`)
    return await this.#finish(report, { log, events, audit })
  }

  /** Interrupts the run when cancelled. Resolves after `LEAVE_MS` or a SIGTERM; the next step removes what is left. */
  async #cancelled(oneOff: OneOff): Promise<OneOffReport> {
    const { begun, isUrgent } = this.#cancellation
    await begun
    oneOff.stop('the workflow was cancelled', 'the workflow was cancelled: interrupting the run')
    await Promise.race([delay(HURRY_MS), isUrgent])
    oneOff.hurry().catch(() => undefined)
    await Promise.race([delay(LEAVE_MS - HURRY_MS), isUrgent])
    const nothing = { threadId: undefined, durationMs: 0, refused: [] }
    return { outcome: 'cancelled', exitCode: EXIT.cancelled, ...nothing }
  }

  /** Returns the run's environment. It holds the credentials, because this process is the broker. */
  async #environment(): Promise<Env> {
    const { env } = this.#context
    const inputs = this.#inputs
    const rest = Object.entries(env).filter(([name]) => !OF_THE_STEP.includes(name))
    const isApp = inputs['app-id'] !== undefined
    const own: Record<string, string | undefined> = {
      ANTHROPIC_API_KEY: inputs['anthropic-api-key'],
      CLAUDE_CODE_OAUTH_TOKEN: inputs['anthropic-oauth-token'],
      GITHUB_TOKEN: isApp ? undefined : inputs['github-token'],
      GITHUB_APP_ID: inputs['app-id'],
      GITHUB_APP_INSTALLATION_ID: inputs['app-installation-id'],
      GITHUB_APP_PRIVATE_KEY: inputs['app-private-key'],
      PERMISSION_MODE: inputs['permission-mode'],
      ...(await this.#committer()),
    }
    const set = Object.entries(own).filter(([, value]) => value !== undefined)
    return { ...Object.fromEntries(rest), ...Object.fromEntries(set) }
  }

  /** Returns the variables of a default committer, for a job and checkout that name none. */
  async #committer(): Promise<Record<string, string>> {
    const { env } = this.#context
    if (env['GIT_AUTHOR_NAME']) return {}
    const { identity } = await readCheckout(this.#job.workspace, env)
    if (identity !== undefined) return {}
    return Object.fromEntries(
      ['AUTHOR', 'COMMITTER'].flatMap((who) => [
        [`GIT_${who}_NAME`, 'github-actions[bot]'],
        [`GIT_${who}_EMAIL`, '41898282+github-actions[bot]@users.noreply.github.com'],
      ]),
    )
  }

  async #arguments({ events, audit }: { events: string; audit: string }): Promise<string[]> {
    const { workspace: root, repository } = this.#job
    const inputs = this.#inputs
    const { prompt, model, image, mode, isolation, workspace, depth, access } = inputs
    const file = async (input: 'prompt-file' | 'policy'): Promise<string | undefined> =>
      inputs[input] && (await fileOfCheckout(input, inputs[input], root))
    const flags: Record<string, string | undefined> = {
      ...{ prompt, model, image, mode, workspace, access, isolation, depth: depth?.toString() },
      ...{ 'prompt-file': await file('prompt-file'), policy: await file('policy') },
      ...{ base: inputs['base-branch'], 'branch-prefix': inputs['branch-prefix'] },
      ...{ 'time-limit': `${inputs['timeout-minutes']}m`, events, audit, repository },
    }
    return Object.entries(flags).flatMap(([name, value]) =>
      value === undefined ? [] : [`--${name}=${value}`],
    )
  }

  async #finish(
    report: OneOffReport,
    files: { log: string; events: string; audit: string },
  ): Promise<number> {
    const { exitCode, mode, modeReason, branch, durationMs } = report
    const said = ForeignReport.parse(report)
    const { outcome, usage } = said
    const text = printable(said.text)
    const refused = await readRefused(files.audit)
    warnOfEgress(refused)
    const problem = this.#cancellation.isBegun ? undefined : problemOf(said, exitCode)
    if (problem !== undefined) annotate(said.error?.code ?? outcome, problem)
    const { serverUrl, repository } = this.#job
    const ours = `${serverUrl}/${repository}/pull/`
    const pullRequests = (report.pullRequests ?? []).filter(
      (address) => address.startsWith(ours) && /^\d+$/.test(address.slice(ours.length)),
    )
    const sum = (name: 'inputTokens' | 'outputTokens'): number =>
      usage.reduce((total, one) => total + one[name], 0)
    await tell({
      ...{ outcome, exitCode, problem, mode, modeReason, branch, durationMs, text, pullRequests, refused },
      model: usage[0]?.model,
      inputTokens: sum('inputTokens'),
      outputTokens: sum('outputTokens'),
      result: report.result,
      files,
    })
    return exitCode
  }
}

/**
 * Returns the path of a file that an input names. The checkout may be a stranger's, so no link in it may choose another
 * file of this machine, such as the step's own environment, or git's settings with the job's token.
 *
 * @throws {RunnerError} `config_invalid` for such a link.
 */
async function fileOfCheckout(input: string, name: string, root: string): Promise<string> {
  const path = resolve(root, name)
  const real = await realpath(path).catch(() => undefined)
  // What is not there is said by whoever reads it.
  if (real === undefined || !isWithin(path, root)) return path
  const checkout = await realpath(root)
  if (isWithin(real, checkout) && !isWithin(real, join(checkout, '.git'))) return path
  throw new RunnerError('config_invalid', `${input} leads out of the checkout by a link.`)
}

/** The result of the step, as far as this command knows it. */
interface Told extends Partial<StepEnd> {
  outcome: string
  exitCode: number
  result?: unknown
  files?: { log: string; events: string; audit: string }
}

/** Writes the step's outputs and its summary. */
async function tell({ result, files, ...end }: Told): Promise<void> {
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

/** Returns the problem with advice. Undefined after a success. */
function problemOf({ outcome, error, reason }: ForeignReport, exitCode: number): string | undefined {
  if (outcome === 'success') return undefined
  if (outcome === 'interrupt')
    return 'The run waits for an answer, which nobody can give here: set permission-mode, or ask for less.'
  if (error === undefined)
    return reason === TIME_LIMIT
      ? 'The time limit is reached: raise timeout-minutes, or ask for less.'
      : `The run was cancelled: ${shownProblem(reason)}.`
  const said = shownProblem(error.message)
  if (exitCode !== EXIT.failed) return said
  return `${said} ${ADVICE.get(error.code) ?? 'docs/errors.md says what to do about that code.'}`
}

const shownProblem = (text: string): string => cutBytes(printable(text), PROBLEM_BYTES_MAX)

const ADVICE = new Map([
  ['model_unauthorized', 'Mend the secret behind anthropic-api-key or anthropic-oauth-token.'],
  ['model_rate_limited', 'Run the job again later.'],
  ['model_overloaded', 'Run the job again later.'],
])

/** Warns of refused hosts, the most frequent reason why a task fails. */
function warnOfEgress(refused: readonly RefusedRequest[]): void {
  const hosts = refused.filter(({ door }) => door === 'egress')
  for (const { request, reason } of hosts.slice(0, WARNINGS_MAX))
    warn('refused', printable(`${request}: ${reason}`))
}
