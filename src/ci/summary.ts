import type { RefusedRequest } from './refused-requests.ts'

/** How a step went. */
export interface StepEnd {
  outcome: string
  exitCode: number
  /** What was wrong, with what to do. */
  problem: string | undefined
  mode: string | undefined
  modeReason: string | undefined
  model: string | undefined
  durationMs: number
  inputTokens: number
  outputTokens: number
  branch: string | undefined
  /** Addresses that the broker had of GitHub. */
  pullRequests: readonly string[]
  refused: readonly RefusedRequest[]
  /** The agent's last words. */
  text: string
}

/** GitHub takes 1 MiB of a step. */
const TEXT_BYTES_MAX = 512 * 1024
const REFUSED_MAX = 20
const SHOWN_CHARS = 300

/** The page that GitHub shows of this step. Whatever others have written stands in code, and cannot leave it. Pure. */
export function summaryOf(end: StepEnd): string {
  const { outcome, exitCode, problem, refused, text } = end
  const hidden = refused.length - REFUSED_MAX
  return [
    `### agui-runner: ${outcome} (${exitCode})`,
    ...(problem === undefined ? [] : [fenced(problem)]),
    factsOf(end)
      .map(([name, value]) => `- ${name}: ${value}`)
      .join('\n'),
    ...(refused.length === 0
      ? []
      : [
          `Refused by the broker: ${refused.length}`,
          fenced(
            [
              ...refused
                .slice(0, REFUSED_MAX)
                .map(({ door, request, reason }) => oneLine(`${door}: ${request}: ${reason}`)),
              ...(hidden > 0 ? [`and ${hidden} more; audit-file has them`] : []),
            ].join('\n'),
          ),
        ]),
    ...(text.trim() === '' ? [] : ['The answer:', fenced(cutBytes(text, TEXT_BYTES_MAX))]),
    '',
  ].join('\n\n')
}

function factsOf(end: StepEnd): [name: string, value: string][] {
  const { mode, modeReason = '', model, durationMs, inputTokens, outputTokens, branch, pullRequests } = end
  return [
    ...(mode === undefined ? [] : [['mode', code(`${mode}: ${modeReason}`)] as [string, string]]),
    ...(model === undefined ? [] : [['model', code(model)] as [string, string]]),
    ['time', `${Math.round(durationMs / 1000)} s`],
    ...(inputTokens + outputTokens === 0
      ? []
      : [['tokens', `${inputTokens} in, ${outputTokens} out`] as [string, string]]),
    ...(branch === undefined ? [] : [['branch', code(branch)] as [string, string]]),
    ...pullRequests.map((address): [string, string] => ['pull request', address]),
  ]
}

/** A code span, or a block, ends with as many backticks as it began with: ours are more than any in the text. */
function backticks(text: string, least: number): string {
  let length = least
  for (const [run] of text.matchAll(/`+/g)) length = Math.max(length, run.length + 1)
  return '`'.repeat(length)
}

function fenced(text: string): string {
  const fence = backticks(text, 3)
  return `${fence}text\n${text.replace(/\n+$/, '')}\n${fence}`
}

function code(text: string): string {
  const shown = oneLine(text)
  const mark = backticks(shown, 1)
  return `${mark} ${shown} ${mark}`
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim().slice(0, SHOWN_CHARS)
}

/** The beginning of a text, in whole characters. */
export function cutBytes(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= bytesMax) return text
  const MARK = '\n[cut]'
  return `${new TextDecoder().decode(bytes.subarray(0, bytesMax - MARK.length), { stream: true })}${MARK}`
}
