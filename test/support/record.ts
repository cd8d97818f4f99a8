/**
 * `npm run record [case…]` records what the real Claude Code says for each case of recording-cases.ts, against the
 * mock gateway, and writes its golden events. `npm run record -- --golden [case…]` writes only the golden events,
 * from the recordings that are there.
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Options, query, type SDKMessage, type SDKUserMessage } from '@anthropic-ai/claude-agent-sdk'
import { startMockGateway } from '../../src/mock/mock-gateway.ts'
import { caseNames, readMessages, toEvents, writeGolden, writeMessages } from './claude-cases.ts'
import { RECORDING_CASES, type RecordingCase, toPrompt } from './recording-cases.ts'
import { scrub } from './scrub.ts'

const CASE_TIMEOUT_MS = 60_000
/** How long a turn that nobody asked for, such as a task's report, may take to follow the last result. */
const AFTERMATH_MS = 2_500

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { golden: { type: 'boolean', default: false } },
})

if (!flags.golden) {
  for (const name of positionals.length > 0 ? positionals : Object.keys(RECORDING_CASES)) {
    const recording = RECORDING_CASES[name]
    if (recording === undefined) throw new Error(`No case ${name} in recording-cases.ts.`)
    const messages = await record(recording)
    writeMessages(name, messages)
    console.log(`${name}: ${messages.length} messages`)
  }
}
for (const name of positionals.length > 0 ? positionals : caseNames())
  writeGolden(name, toEvents(readMessages(name), name))

/** Every message of the SDK for every prompt, in order, without what belongs to this machine. */
async function record(recording: RecordingCase): Promise<unknown[]> {
  const root = mkdtempSync(join(tmpdir(), 'record-'))
  const folders = { workspace: join(root, 'workspace'), home: join(root, 'home'), tmp: join(root, 'tmp') }
  for (const folder of Object.values(folders)) mkdirSync(folder)
  for (const [file, base64] of Object.entries(recording.files ?? {})) {
    writeFileSync(join(folders.workspace, file), base64, 'base64')
  }
  const gateway = await startMockGateway({ directory: join(root, 'tmp'), script: { rules: recording.rules } })
  try {
    const prompts = recording.prompts ?? ['go']
    const messages: SDKMessage[] = []
    for (const batch of recording.restart === true ? prompts.map((prompt) => [prompt]) : [prompts]) {
      const sessionId = messages.at(-1)?.session_id
      const options = toOptions(recording, folders, gateway.directUrl)
      const resumed = sessionId === undefined ? options : { ...options, resume: sessionId }
      await play(batch, { recording, gateway, options: resumed, messages })
    }
    return messages.map((message) => scrub(message, { root, port: gateway.port }))
  } finally {
    await gateway.close()
    rmSync(root, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}

interface Play {
  recording: RecordingCase
  gateway: Awaited<ReturnType<typeof startMockGateway>>
  options: Options
  messages: SDKMessage[]
}

async function play(
  prompts: readonly string[],
  { recording, gateway, options, messages }: Play,
): Promise<void> {
  const input = createInput()
  const abort = AbortSignal.timeout(CASE_TIMEOUT_MS)
  const running = query({ prompt: input, options })
  abort.addEventListener('abort', () => running.close())
  const stage = {
    query: running,
    gateway,
    send: (text: string) => input.push({ ...toPrompt(text), uuid: randomUUID() }),
  }
  const left = [...prompts]
  const next = (): void => {
    const prompt = left.shift()
    if (prompt !== undefined) input.push(toPrompt(prompt))
    else setTimeout(() => input.end(), recording.aftermath === true ? AFTERMATH_MS : 0)
  }
  next()
  try {
    for await (const message of running) {
      messages.push(message)
      await recording.during?.(message, stage)
      if (message.type === 'result') next()
    }
  } catch (error) {
    // The SDK throws when the last result was an error, after it has yielded all of it.
    if (abort.aborted || !messages.some((message) => message.type === 'result')) throw error
  }
}

function toOptions(recording: RecordingCase, folders: Record<string, string>, baseUrl: string): Options {
  const environment = {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    LANG: 'C.UTF-8',
    HOME: folders['home'],
    TMPDIR: folders['tmp'],
    ANTHROPIC_BASE_URL: baseUrl,
    ANTHROPIC_API_KEY: 'x',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS: '1',
    CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: '1',
    CLAUDE_CODE_MAX_RETRIES: '1',
    ENABLE_TOOL_SEARCH: 'false',
    IS_SANDBOX: '1',
    ...recording.environment,
  }
  return {
    pathToClaudeCodeExecutable: findBinary(),
    cwd: folders['workspace'] ?? '',
    env: environment,
    systemPrompt: { type: 'preset', preset: 'claude_code' },
    settingSources: [],
    strictMcpConfig: true,
    includePartialMessages: true,
    forwardSubagentText: true,
    permissionMode: 'bypassPermissions',
    allowDangerouslySkipPermissions: true,
    ...recording.options,
  }
}

/** The binary that the SDK brings. */
function findBinary(): string {
  const platform = `@anthropic-ai/claude-agent-sdk-${process.platform}-${process.arch}/package.json`
  const require = createRequire(createRequire(import.meta.url).resolve('@anthropic-ai/claude-agent-sdk'))
  return join(dirname(require.resolve(platform)), 'claude')
}

interface Input extends AsyncIterable<SDKUserMessage> {
  push(message: SDKUserMessage): void
  end(): void
}

function createInput(): Input {
  const waiting: SDKUserMessage[] = []
  let ended = false
  let wake: (() => void) | undefined
  return {
    push(message) {
      waiting.push(message)
      wake?.()
    },
    end() {
      ended = true
      wake?.()
    },
    async *[Symbol.asyncIterator]() {
      while (!ended || waiting.length > 0) {
        const message = waiting.shift()
        if (message !== undefined) yield message
        else {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        }
      }
    },
  }
}
