import type { RefusedRequest } from './refused-requests.ts'

/** The result of a step. */
export interface StepEnd {
  outcome: string
  exitCode: number
  /** The problem, with advice. Undefined when there was none. */
  problem: string | undefined
  mode: string | undefined
  modeReason: string | undefined
  model: string | undefined
  durationMs: number
  inputTokens: number
  outputTokens: number
  branch: string | undefined
  /** The addresses that the broker received from GitHub. */
  pullRequests: readonly string[]
  refused: readonly RefusedRequest[]
  /** The agent's last message. */
  text: string
}

/** Upper bound of the shown answer, in bytes. GitHub takes a summary of 1 MiB for a step, or none of it. */
const TEXT_BYTES_MAX = 512 * 1024
const PROBLEM_BYTES_MAX = 8192
const REFUSED_MAX = 20
const SHOWN_CHARS = 300

/** Returns the Markdown that GitHub shows for this step. Foreign text stands in code that it cannot end. Pure. */
export function summaryOf(end: StepEnd): string {
  const { outcome, exitCode, problem, refused, text } = end
  const hidden = refused.length - REFUSED_MAX
  return [
    `### agui-runner: ${outcome} (${exitCode})`,
    ...(problem === undefined ? [] : [fenced(problem, PROBLEM_BYTES_MAX)]),
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
            TEXT_BYTES_MAX,
          ),
        ]),
    ...(text.trim() === '' ? [] : ['The answer:', fenced(text, TEXT_BYTES_MAX)]),
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

/** Returns more backticks than any run of them in the text, so that the text cannot end its code span or block. */
function backticks(text: string, least: number): string {
  let length = least
  for (const [run] of text.matchAll(/`+/g)) length = Math.max(length, run.length + 1)
  return '`'.repeat(length)
}

/** Returns the text, cut to `bytesMax` bytes, as a block of code of at most one and a half times that. */
function fenced(text: string, bytesMax: number): string {
  const block = blockOf(cutBytes(text, bytesMax))
  // Of a text of backticks each of the two fences is as long as itself.
  return Buffer.byteLength(block) <= bytesMax * 1.5
    ? block
    : blockOf(cutBytes(text, Math.floor(bytesMax / 3)))
}

function blockOf(text: string): string {
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

/** Cuts a text to `bytesMax` bytes of UTF-8, in whole characters and with a mark at the end. */
export function cutBytes(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= bytesMax) return text
  const MARK = '\n[cut]'
  return `${new TextDecoder().decode(bytes.subarray(0, bytesMax - MARK.length), { stream: true })}${MARK}`
}
