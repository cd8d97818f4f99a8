import { z } from 'zod'
import { RunnerError } from '../errors.ts'
import { EXACT_IMAGE, isExactImage } from '../exact-image.ts'
import { wholeNumber } from '../whole-number.ts'
import { isBranchName } from '../workspace/repository-url.ts'

type Env = Readonly<Record<string, string | undefined>>

const HOUR_MINUTES = 60
const TIMEOUT_MINUTES_MAX = 24 * HOUR_MINUTES

/** Makes an input optional: GitHub passes one that was not given as an empty text. */
const given = <T extends z.ZodType>(schema: T) =>
  z.preprocess(
    (text) => (typeof text === 'string' && text.trim() === '' ? undefined : text),
    schema.optional(),
  )
const choice = <const T extends readonly [string, ...string[]]>(...values: T) =>
  z.enum(values, `must be ${values.slice(0, -1).join(', ')} or ${values.at(-1)}`)
const line = (form: RegExp, is: string) => z.string().trim().regex(form, `must be ${is}`)
const secret = line(/^[!-~]+$/, 'one line without spaces')

/** The inputs by their names in action/action.yml. */
const Inputs = z.object({
  prompt: given(z.string()),
  'prompt-file': given(line(/^\P{Cc}+$/u, 'the path of a file')),
  'anthropic-api-key': given(secret),
  'anthropic-oauth-token': given(secret),
  'github-token': given(secret),
  'app-id': given(line(/^[A-Za-z0-9][\w.-]*$/, 'the client id or number of a GitHub App')),
  'app-private-key': given(z.string()),
  'app-installation-id': given(line(/^[1-9]\d*$/, 'a number')),
  mode: given(choice('auto', 'private', 'public')).default('auto'),
  model: given(line(/^[A-Za-z0-9][\w.:@/[\]-]*$/, 'the name of a model')),
  image: given(z.string().trim().refine(isExactImage, `must be ${EXACT_IMAGE}`)),
  'timeout-minutes': given(wholeNumber({ min: 1, max: TIMEOUT_MINUTES_MAX, unit: 'minutes' })).default(30),
  isolation: given(choice('auto', 'container', 'process')).default('container'),
  workspace: given(choice('clone', 'mount', 'none')).default('clone'),
  depth: given(wholeNumber({ min: 1, unit: 'commits' })),
  'base-branch': given(z.string().trim().refine(isBranchName, 'must be the name of a branch')),
  'branch-prefix': given(line(/^[A-Za-z0-9][\w.-]*\/$/, 'a name with a slash behind it: agui/')).default(
    'agui/',
  ),
  access: given(choice('read', 'write')).default('write'),
  policy: given(line(/^\P{Cc}+$/u, 'the path of a file')),
  'permission-mode': given(choice('auto', 'ask', 'accept-edits', 'never-ask')),
})
export type Inputs = z.infer<typeof Inputs>

export const INPUT_NAMES = Inputs.keyof().options

/** Returns the variable of an input as action/action.yml sets it, such as `INPUT_PROMPT_FILE`. */
export const variableOf = (input: string): string => `INPUT_${input.toUpperCase().replaceAll('-', '_')}`

/** The variable with GitHub's token for this job. It is the default of github-token, so an App beside it is allowed. */
export const JOB_TOKEN = 'JOB_TOKEN'

/**
 * Reads and checks the inputs. @throws {RunnerError} `config_invalid` with every problem, and without a value.
 */
export function readInputs(env: Env): Inputs {
  const inputs = Object.fromEntries(INPUT_NAMES.map((name) => [name, env[variableOf(name)]]))
  const read = Inputs.safeParse(inputs)
  if (!read.success) throw wrong(read.error.issues.map(({ path, message }) => `${path.join('.')} ${message}`))
  const problems = contradictionsIn(read.data, env)
  if (problems.length > 0) throw wrong(problems)
  return read.data
}

function contradictionsIn(inputs: Inputs, env: Env): string[] {
  const isGiven = (name: keyof Inputs): boolean => inputs[name] !== undefined
  const isCloud = env['CLAUDE_CODE_USE_VERTEX'] === '1' || env['CLAUDE_CODE_USE_BEDROCK'] === '1'
  const problems: string[] = []
  if (isGiven('prompt') === isGiven('prompt-file')) problems.push('give prompt or prompt-file, one of them')
  if (isGiven('anthropic-api-key') && isGiven('anthropic-oauth-token'))
    problems.push('give anthropic-api-key or anthropic-oauth-token, one of them')
  if (!isGiven('anthropic-api-key') && !isGiven('anthropic-oauth-token') && !isCloud)
    problems.push(`give anthropic-api-key or anthropic-oauth-token${noSecrets(env)}`)
  if (isGiven('app-id') !== isGiven('app-private-key'))
    problems.push('give app-id and app-private-key together')
  if (isGiven('app-installation-id') && !isGiven('app-id'))
    problems.push('app-installation-id is nothing without app-id')
  if (isGiven('app-id') && isGiven('github-token') && inputs['github-token'] !== env[JOB_TOKEN])
    problems.push('give github-token or app-id, one of them')
  if (!isGiven('app-id') && !isGiven('github-token')) problems.push('give github-token or app-id')
  return problems
}

/** Returns a hint for a missing credential: where GitHub withholds a secret from a job, the input is silently empty. */
function noSecrets(env: Env): string {
  return env['GITHUB_ACTOR'] === 'dependabot[bot]'
    ? ' (a job of dependabot has the Dependabot secrets only)'
    : ' (a secret that does not exist is an empty text)'
}

function wrong(problems: readonly string[]): RunnerError {
  return new RunnerError('config_invalid', `The inputs are wrong: ${problems.join('; ')}.`)
}
