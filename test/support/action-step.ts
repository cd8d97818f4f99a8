// action/action.yml as GitHub's runner performs it: its expressions, its steps in bash, their files, and the commands in
// their logs. What this does not know is an error, so that the file and the test cannot drift apart.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { pidOf } from './processes.ts'

const REPOSITORY = new URL('../..', import.meta.url).pathname
/** As a cancelled step is treated: SIGINT, then SIGTERM, then the end of its process tree. */
const SIGTERM_MS = 7500
const SIGKILL_MS = 2500

const Action = z.strictObject({
  name: z.string(),
  description: z.string(),
  author: z.string(),
  branding: z.record(z.string(), z.string()),
  inputs: z.record(z.string(), z.strictObject({ description: z.string(), default: z.string().optional() })),
  outputs: z.record(z.string(), z.strictObject({ description: z.string(), value: z.string() })),
  runs: z.strictObject({
    using: z.literal('composite'),
    steps: z.array(
      z.strictObject({
        id: z.string().optional(),
        if: z.literal('always()').optional(),
        shell: z.literal('bash'),
        run: z.string(),
        env: z.record(z.string(), z.string()).optional(),
      }),
    ),
  }),
})

export const ACTION = Action.parse(parse(readFileSync(join(REPOSITORY, 'action/action.yml'), 'utf8')))

/** What a release tag carries of what runs: no node_modules. */
export function makeRelease(directory: string): string {
  const release = join(directory, 'release')
  for (const name of ['action', 'dist', 'wrappers', 'policy.yaml', 'package.json'])
    cpSync(join(REPOSITORY, name), join(release, name), { recursive: true })
  return release
}

export interface StepRequest {
  release: string
  /** For the files of the job; each run has some of its own. */
  directory: string
  workspace: string
  event: { name: string; payload: unknown }
  /** `with`. */
  inputs: Record<string, string>
  env: Record<string, string>
  /** `github.token`. */
  token: string
}

export interface StepResult {
  conclusion: 'success' | 'failure' | 'cancelled'
  /** Exit codes or signals of the steps that ran. */
  codes: (number | string)[]
  outputs: Record<string, string>
  /** As it is shown: secrets masked, commands obeyed. */
  log: string
  annotations: { command: string; title: string; message: string }[]
  /** Every other command that was obeyed. */
  obeyed: string[]
  summary: string
}

export interface StartedAction {
  readonly result: Promise<StepResult>
  /** Resolves when that stands in the log. */
  has(text: string): Promise<void>
  /** @returns after how many milliseconds the step had ended. */
  cancel(): Promise<number>
}

export function startAction(request: StepRequest): StartedAction {
  const files = mkdtempSync(join(request.directory, 'job-'))
  const job = new Job(request, files)
  const result = job.run()
  return {
    result,
    has: (text) => job.has(text, result),
    cancel: () => job.cancel(),
  }
}

class Job {
  readonly #request: StepRequest
  readonly #files: string
  readonly #log = new StepLog()
  readonly #outputs = new Map<string, Record<string, string>>()
  readonly #codes: (number | string)[] = []
  #child: ChildProcess | undefined
  #isCancelled = false

  constructor(request: StepRequest, files: string) {
    this.#request = request
    this.#files = files
    const unknown = Object.keys(request.inputs).filter((name) => ACTION.inputs[name] === undefined)
    if (unknown.length > 0) throw new Error(`action.yml has no input ${unknown}`)
  }

  async run(): Promise<StepResult> {
    let summary = ''
    for (const [index, step] of ACTION.runs.steps.entries()) {
      const isWell = this.#codes.every((code) => code === 0) && !this.#isCancelled
      if (!isWell && step.if === undefined) continue
      const place = join(this.#files, String(index))
      mkdirSync(place)
      this.#codes.push(await this.#step(step, place))
      if (step.id !== undefined) this.#outputs.set(step.id, readOutputs(join(place, 'output')))
      summary += readFileSync(join(place, 'summary'), 'utf8')
    }
    const isWell = this.#codes.every((code) => code === 0)
    return {
      conclusion: this.#isCancelled ? 'cancelled' : isWell ? 'success' : 'failure',
      codes: this.#codes,
      outputs: Object.fromEntries(
        Object.entries(ACTION.outputs).map(([name, { value }]) => [name, this.#expand(value)]),
      ),
      log: this.#log.shown,
      annotations: this.#log.annotations,
      obeyed: this.#log.obeyed,
      summary: this.#log.masked(summary),
    }
  }

  async #step(step: (typeof ACTION)['runs']['steps'][number], place: string): Promise<number | string> {
    const { event, release, workspace, env } = this.#request
    const file = (name: string, text: string): string => {
      writeFileSync(join(place, name), text)
      return join(place, name)
    }
    const own = Object.entries(step.env ?? {}).map(([name, value]) => [name, this.#expand(value)])
    const child = spawn(
      'bash',
      ['--noprofile', '--norc', '-eo', 'pipefail', file('script.sh', this.#expand(step.run))],
      {
        cwd: workspace,
        env: {
          ...env,
          CI: 'true',
          GITHUB_ACTIONS: 'true',
          GITHUB_ACTION_PATH: join(release, 'action'),
          GITHUB_EVENT_NAME: event.name,
          GITHUB_EVENT_PATH: file(
            'event.json',
            typeof event.payload === 'string' ? event.payload : JSON.stringify(event.payload),
          ),
          GITHUB_WORKSPACE: workspace,
          GITHUB_OUTPUT: file('output', ''),
          GITHUB_STEP_SUMMARY: file('summary', ''),
          RUNNER_TEMP: this.#files,
          ...Object.fromEntries(own),
        },
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      },
    )
    this.#child = child
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => this.#log.add(stream, text))
    const [code, signal]: (number | string | null)[] = await once(child, 'close')
    this.#log.flush()
    return code ?? signal ?? -1
  }

  async has(text: string, result: Promise<StepResult>): Promise<void> {
    const ended = result.then(({ log }) => {
      throw new Error(`it ended without "${text}":\n${log}`)
    })
    ended.catch(() => {})
    while (!this.#log.everything.includes(text)) await Promise.race([this.#log.more(), ended])
  }

  async cancel(): Promise<number> {
    const child = this.#child
    if (child === undefined) throw new Error('no step runs')
    const pid = pidOf(child.pid)
    this.#isCancelled = true
    const began = performance.now()
    const exited = once(child, 'close')
    child.kill('SIGINT')
    const term = setTimeout(() => child.kill('SIGTERM'), SIGTERM_MS)
    const kill = setTimeout(() => process.kill(-pid, 'SIGKILL'), SIGTERM_MS + SIGKILL_MS)
    await exited
    clearTimeout(term)
    clearTimeout(kill)
    return performance.now() - began
  }

  #expand(text: string): string {
    return text.replace(/\$\{\{(.*?)\}\}/g, (_whole, expression: string) => {
      const path = expression.trim().split('.')
      if (path[0] === 'inputs' && path.length === 2) return this.#input(path[1] ?? '')
      if (path.join('.') === 'github.token') return this.#request.token
      if (path[0] === 'steps' && path[2] === 'outputs' && path.length === 4)
        return this.#outputs.get(path[1] ?? '')?.[path[3] ?? ''] ?? ''
      throw new Error(`the test cannot expand ${expression}`)
    })
  }

  #input(name: string): string {
    const input = ACTION.inputs[name]
    if (input === undefined) throw new Error(`action.yml has no input ${name}`)
    return this.#request.inputs[name] ?? this.#expand(input.default ?? '')
  }
}

/** `name=value`, and `name<<DELIMITER` with as many lines as there are before that. */
function readOutputs(file: string): Record<string, string> {
  const lines = readFileSync(file, 'utf8').split('\n')
  const outputs: Record<string, string> = {}
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? ''
    if (line === '') continue
    const [, name = '', delimiter] = /^([^=<]+)<<(.+)$/.exec(line) ?? []
    if (delimiter === undefined) throw new Error(`no output: ${line}`)
    const end = lines.indexOf(delimiter, at + 1)
    if (end < 0) throw new Error(`${name} has no end`)
    outputs[name] = lines.slice(at + 1, end).join('\n')
    at = end
  }
  return outputs
}

const COMMAND = /^\s*::([\w-]+)(?: (.*?))?::(.*)$/
const unescaped = (text: string): string =>
  text
    .replace(/%0D/g, '\r')
    .replace(/%0A/g, '\n')
    .replace(/%3A/g, ':')
    .replace(/%2C/g, ',')
    .replace(/%25/g, '%')

/** What becomes of the lines that a step prints. */
class StepLog {
  readonly annotations: StepResult['annotations'] = []
  readonly obeyed: string[] = []
  readonly #masks: string[] = []
  readonly #pending = new Map<unknown, string>()
  readonly #waiting = new Set<() => void>()
  #stoppedBy: string | undefined
  shown = ''
  everything = ''

  add(stream: unknown, text: string): void {
    this.everything += text
    const lines = `${this.#pending.get(stream) ?? ''}${text}`.split('\n')
    this.#pending.set(stream, lines.pop() ?? '')
    for (const line of lines) this.#line(line)
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  flush(): void {
    for (const [stream, rest] of this.#pending) if (rest !== '') this.add(stream, '\n')
  }

  more(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve))
  }

  masked(text: string): string {
    return this.#masks.reduce((shown, secret) => shown.replaceAll(secret, '***'), text)
  }

  #line(line: string): void {
    const [, command = '', properties = '', data = ''] = COMMAND.exec(line) ?? []
    if (this.#stoppedBy !== undefined) {
      if (command === this.#stoppedBy) this.#stoppedBy = undefined
    } else if (command === 'stop-commands') this.#stoppedBy = data
    else if (command === 'error' || command === 'warning') {
      const title = /(?:^|,)title=([^,]*)/.exec(properties)?.[1] ?? ''
      this.annotations.push({ command, title: unescaped(title), message: this.masked(unescaped(data)) })
    } else if (command === 'add-mask') {
      this.#masks.push(unescaped(data))
      this.shown += '::add-mask::***\n'
      return
    } else if (command !== '') this.obeyed.push(line)
    this.shown += `${this.masked(line)}\n`
  }
}
