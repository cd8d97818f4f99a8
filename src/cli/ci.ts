import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import { Cancellation } from '../ci/cancellation.ts'
import { fileOfCheckout } from '../ci/checkout-file.ts'
import { ForeignReport } from '../ci/foreign-report.ts'
import { INPUT_NAMES, type Inputs, JOB_TOKEN, readInputs, variableOf } from '../ci/inputs.ts'
import { type Job, judgeJob, readJob } from '../ci/job.ts'
import { readRefused } from '../ci/refused-requests.ts'
import { annotate, ForeignWords, mask, warn } from '../ci/step-log.ts'
import type { Env } from '../config.ts'
import { RunnerError, toMessage } from '../errors.ts'
import { readCheckout } from '../launch/checkout.ts'
import { printable } from '../printable.ts'
import { readAppKey } from './app-key.ts'
import { problemOf, shownProblem, warnOfEgress, writeEnd } from './ci-end.ts'
import { checkJobApp, checkJobToken, rightOf } from './ci-github.ts'
import type { CliContext } from './context.ts'
import { EXIT, exitCodeOfError } from './exit.ts'
import { OneOff, type OneOffReport } from './one-off-run.ts'
import { parseRunFlags } from './run.ts'

/** Milliseconds after the SIGINT of GitHub's runner. It sends SIGTERM 7.5 s after that, and kills 2.5 s later. */
const HURRY_MS = 4000
const LEAVE_MS = 6500

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
    await cancellation.race(admission, HURRY_MS)
    if (cancellation.isBegun) {
      await writeEnd({ outcome: 'cancelled', exitCode: EXIT.cancelled })
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
    if (isStep) await writeEnd({ outcome: 'error', exitCode, problem }).catch(() => undefined)
    return exitCode
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
    if (problem !== undefined) annotate(problem.title, problem.text)
    const { serverUrl, repository } = this.#job
    const ours = `${serverUrl}/${repository}/pull/`
    const pullRequests = (report.pullRequests ?? []).filter(
      (address) => address.startsWith(ours) && /^\d+$/.test(address.slice(ours.length)),
    )
    const sum = (name: 'inputTokens' | 'outputTokens'): number =>
      usage.reduce((total, one) => total + one[name], 0)
    await writeEnd({
      ...{
        outcome,
        exitCode,
        problem: problem?.text,
        mode,
        modeReason,
        branch,
        durationMs,
        text,
        pullRequests,
        refused,
      },
      model: usage[0]?.model,
      inputTokens: sum('inputTokens'),
      outputTokens: sum('outputTokens'),
      result: report.result,
      files,
    })
    return exitCode
  }
}
