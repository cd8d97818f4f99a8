// An agent that plays the mock gateway's scripts itself: no process, no model. For tests of what an agent is run by.
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { contentToText, EventType, type UserMessage } from '@ag-ui/core'
import { z } from 'zod'
import type {
  Agent,
  AgentMemory,
  AgentSession,
  RunContext,
  RunEnd,
  RunRequest,
} from '../../src/agent/agent.ts'
import type { AguiEvent } from '../../src/agui/event.ts'
import { RunnerError, toMessage } from '../../src/errors.ts'
import { createGates, type Gates } from '../../src/mock/pieces.ts'
import { createRuleBook, type RuleBook } from '../../src/mock/rule-book.ts'
import type { Script, ScriptStep, StepOf } from '../../src/mock/script.ts'

export interface ScriptedAgentOptions {
  script: Script
  /** The tools that it runs itself, by name. Each call of one in `asks` first waits for a person. */
  tools?: Record<string, (input: Record<string, unknown>, signal: AbortSignal) => Promise<string>>
  asks?: readonly string[]
}

export interface ScriptedAgent extends Agent {
  /** Lets every reply pass that waits, or will wait, at this gate. */
  openGate(name: string): void
  /** The sessions that were opened and not closed. */
  readonly openSessions: number
}

/** A call that waits for somebody outside: a person, or the client whose tool it is. */
const Open = z.object({
  toolCallId: z.string(),
  tool: z.string(),
  input: z.record(z.string(), z.unknown()),
  isAsked: z.boolean(),
})
type Open = z.infer<typeof Open>

const Result = z.object({ id: z.string(), tool: z.string(), text: z.string(), isError: z.boolean() })
/** What the next reply is given to. */
const Turn = z.object({ prompt: z.string(), note: z.string(), round: z.number(), results: z.array(Result) })
type Turn = z.infer<typeof Turn>

/** `said` is what its conversation consists of; `turn` of it alone decides the next reply. */
const Memory = z.object({
  id: z.string(),
  model: z.string().optional(),
  turn: Turn,
  open: z.array(Open),
  said: z.array(z.string()),
})

const turnOf = (prompt: string): Turn => ({ prompt, note: '', round: 0, results: [] })

export function scriptedAgent(options: ScriptedAgentOptions): ScriptedAgent {
  const book = createRuleBook(options.script)
  const gates = createGates()
  const sessions = new Set<ScriptedSession>()
  return {
    open(_threadId, memory) {
      const session = new ScriptedSession({
        ...options,
        book,
        gates,
        memory,
        onClose: () => sessions.delete(session),
      })
      sessions.add(session)
      return session
    },
    look(memory) {
      const session = new ScriptedSession({ ...options, book, gates, memory, onClose: () => undefined })
      return { ...session.describe(), interrupts: session.interrupts }
    },
    openGate: (name) => gates.open(name),
    get openSessions() {
      return sessions.size
    },
  }
}

interface SessionOptions extends ScriptedAgentOptions {
  book: RuleBook
  gates: Gates
  memory: AgentMemory
  onClose(): void
}

class ScriptedSession implements AgentSession {
  readonly agentName = 'the scripted agent'
  readonly #options: SessionOptions
  readonly #id: string
  #model: string | undefined
  #turn: Turn
  #open: Open[]
  #said: string[]
  #steered: UserMessage[] = []
  #isRunning = false
  #isWarm = false
  #stop = new AbortController()
  #idle: Promise<unknown> = Promise.resolve()

  constructor(options: SessionOptions) {
    this.#options = options
    const stored = Memory.safeParse(options.memory).data
    this.#id = stored?.id ?? randomUUID()
    this.#model = stored?.model
    this.#turn = stored?.turn ?? turnOf('')
    this.#open = stored?.open ?? []
    this.#said = stored?.said ?? []
  }

  get memory(): AgentMemory {
    const model = this.#model === undefined ? {} : { model: this.#model }
    return structuredClone({ id: this.#id, ...model, turn: this.#turn, open: this.#open, said: this.#said })
  }

  memoryAhead(): AgentMemory {
    return this.memory
  }

  get point(): string | undefined {
    return this.#open.length === 0 ? String(this.#said.length) : undefined
  }

  takeBack(point: string): (() => void) | undefined {
    const [said, turn, open] = [this.#said, this.#turn, this.#open]
    if (!(Number(point) <= said.length)) return undefined
    this.#said = said.slice(0, Number(point))
    this.#turn = turnOf('')
    this.#open = []
    return () => {
      ;[this.#said, this.#turn, this.#open] = [said, turn, open]
    }
  }

  get interrupts() {
    return this.#open.flatMap((call) => {
      const { isAsked, toolCallId, tool } = call
      const message = `May I use ${tool}?`
      return isAsked ? [{ id: askId(call), reason: 'tool_call', toolCallId, message }] : []
    })
  }

  get pendingToolCallIds(): string[] {
    return this.#open.flatMap(({ isAsked, toolCallId }) => (isAsked ? [] : [toolCallId]))
  }

  check({ tools }: RunRequest): void {
    const names = tools.map(({ name }) => name)
    const twice = names.find((name, index) => names.indexOf(name) !== index)
    if (twice !== undefined) throw new RunnerError('invalid_input', `tools: two are named "${twice}".`)
  }

  describe() {
    const model = this.#model
    return { ...(model === undefined ? {} : { model }), agentSessionId: this.#id, warm: this.#isWarm }
  }

  async setModel(model: string): Promise<string | undefined> {
    const before = this.#model
    this.#model = model
    return before
  }

  async warm(): Promise<void> {
    this.#isWarm = true
  }

  async toolServers() {
    return this.#isWarm ? [] : undefined
  }

  async stopTask(): Promise<boolean> {
    return false
  }

  async taskOutput(taskId: string): Promise<never> {
    throw new RunnerError('not_found', `No output of task "${taskId}" is there.`)
  }

  steer(messages: readonly UserMessage[]): string[] | undefined {
    if (!this.#isRunning) return undefined
    this.#steered.push(...messages)
    return []
  }

  run(request: RunRequest, context: RunContext): Promise<RunEnd> {
    const running = this.#run(request, context)
    this.#idle = running
    return running
  }

  async close(): Promise<void> {
    this.#stop.abort()
    this.#isWarm = false
    await this.#idle
    this.#options.onClose()
  }

  async #run(request: RunRequest, context: RunContext): Promise<RunEnd> {
    // It has nothing to get ready; of a run that does not begin the rejection is caught by whoever asked.
    await context.begun
    this.#isRunning = true
    this.#isWarm = true
    this.#stop = new AbortController()
    const { signal } = this.#stop
    const stop = (): void => this.#stop.abort()
    context.signal.addEventListener('abort', stop, { once: true })
    if (context.signal.aborted) stop()
    try {
      return await this.#play(request, { ...context, signal })
    } catch (error) {
      if (!signal.aborted) return { outcome: 'error', code: 'model_error', message: toMessage(error) }
      this.#open = []
      return { outcome: 'cancelled' }
    } finally {
      context.signal.removeEventListener('abort', stop)
      this.#isRunning = false
      this.#steered = []
    }
  }

  async #play(request: RunRequest, context: RunContext): Promise<RunEnd> {
    await this.#answered(request, context)
    const words = request.messages.flatMap((message) =>
      message.role === 'user' ? [contentToText(message.content)] : [],
    )
    this.#said = [...this.#said, ...words]
    const last = words.at(-1)
    if (last !== undefined) this.#turn = turnOf(last)
    let end = this.#waits()
    while (end === undefined) end = await this.#step(request, context)
    return end
  }

  /** One reply, and what was said to it meanwhile. */
  async #step(request: RunRequest, context: RunContext): Promise<RunEnd | undefined> {
    const turn = this.#turn
    const model = this.#model ?? 'scripted'
    const facts = {
      ...turn,
      model,
      stream: true,
      nudges: 0,
      subagent: false,
      tools: [],
      cwd: '',
      messages: JSON.stringify(this.#said),
    }
    const reply = this.#options.book.match(facts)
    if (reply === undefined) throw new Error(`No rule is there for "${turn.prompt}".`)
    turn.results = []
    const calls = await this.#reply(reply.steps, request, context)
    const end = this.#waits()
    if (end !== undefined) return end
    const steered = this.#steered.splice(0)
    const words = steered.map(({ content }) => contentToText(content))
    this.#said = [...this.#said, ...words]
    await context.emit(steered.flatMap(({ id }, at) => userEvents(id, words[at] ?? '')))
    if (calls > 0) {
      turn.round += 1
      turn.note = [turn.note, ...words].filter((part) => part !== '').join('\n')
      return undefined
    }
    // Said behind the answer it is a turn of its own, in the same run.
    this.#turn = turnOf(words.join('\n'))
    return steered.length > 0 ? undefined : { outcome: 'success', usage: [USAGE] }
  }

  #waits(): RunEnd | undefined {
    const { interrupts, pendingToolCallIds } = this
    if (interrupts.length > 0) return { outcome: 'interrupt', interrupts }
    return pendingToolCallIds.length > 0 ? { outcome: 'success', pendingToolCallIds } : undefined
  }

  async #answered({ messages, resume = [] }: RunRequest, context: RunContext): Promise<void> {
    const before = this.#open
    for (const call of before) {
      const { toolCallId, tool, isAsked } = call
      const answer = resume.find(({ interruptId }) => interruptId === askId(call))
      const result = messages.find((message) => message.role === 'tool' && message.toolCallId === toolCallId)
      if (isAsked && answer !== undefined) {
        const { approved } = Approval.parse(answer.payload ?? {})
        if (approved) await this.#perform(call, context)
        else this.#turn.results.push({ id: toolCallId, tool, text: 'refused', isError: true })
      } else if (result?.role === 'tool') {
        this.#turn.results.push({ id: toolCallId, tool, text: contentToText(result.content), isError: false })
      } else continue
      this.#open = this.#open.filter((each) => each !== call)
    }
    if (before.length > this.#open.length) this.#turn.round += 1
  }

  /** Plays one reply; returns how many tools it called. */
  async #reply(steps: readonly ScriptStep[], request: RunRequest, context: RunContext): Promise<number> {
    const { gates } = this.#options
    const { signal } = context
    const id = `msg-${randomUUID()}`
    let isOpen = false
    let calls = 0
    const say = async (text: string): Promise<void> => {
      const start: AguiEvent = { type: EventType.TEXT_MESSAGE_START, messageId: id, role: 'assistant' }
      const delta: AguiEvent = { type: EventType.TEXT_MESSAGE_CONTENT, messageId: id, delta: text }
      await context.emit(isOpen ? [delta] : [start, delta])
      isOpen = true
    }
    const finish = async (): Promise<void> => {
      if (isOpen) await context.emit([{ type: EventType.TEXT_MESSAGE_END, messageId: id }])
      isOpen = false
    }
    for (const step of steps) {
      signal.throwIfAborted()
      if ('text' in step) for (const text of [step.text].flat()) await say(text)
      else if ('deltas' in step) {
        const count = Number(step.deltas.count)
        for (let n = 1; n <= count; n++) await say((step.deltas.text ?? '').replaceAll('{{n}}', String(n)))
      } else if ('gate' in step) await gates.pass(step.gate, signal)
      else if ('hang' in step) await once(signal, 'abort', { signal })
      else if ('tool' in step) {
        await finish()
        await this.#call(step, request, context, id)
        calls += 1
      } else throw new Error(`The scripted agent does not play ${JSON.stringify(step)}`)
    }
    signal.throwIfAborted()
    await finish()
    return calls
  }

  async #call(
    { tool, input = {} }: StepOf<'tool'>,
    { tools: clientTools }: RunRequest,
    context: RunContext,
    parentMessageId: string,
  ): Promise<void> {
    const { asks = [] } = this.#options
    const toolCallId = `call-${randomUUID()}`
    await context.emit([
      { type: EventType.TOOL_CALL_START, toolCallId, toolCallName: tool, parentMessageId },
      { type: EventType.TOOL_CALL_ARGS, toolCallId, delta: JSON.stringify(input) },
      { type: EventType.TOOL_CALL_END, toolCallId },
    ])
    const isAsked = asks.includes(tool)
    if (isAsked || clientTools.some(({ name }) => name === tool)) {
      this.#open.push({ toolCallId, tool, input, isAsked })
      return
    }
    await this.#perform({ toolCallId, tool, input }, context)
  }

  async #perform({ toolCallId, tool, input }: Omit<Open, 'isAsked'>, context: RunContext): Promise<void> {
    const { tools = {} } = this.#options
    const text = (await tools[tool]?.(input, context.signal)) ?? `There is no tool "${tool}".`
    context.signal.throwIfAborted()
    this.#turn.results.push({ id: toolCallId, tool, text, isError: false })
    const messageId = `result-${toolCallId}`
    await context.emit([
      { type: EventType.TOOL_CALL_RESULT, messageId, toolCallId, content: text, role: 'tool' },
    ])
  }
}

const Approval = z.looseObject({ approved: z.boolean().default(false) })

const askId = ({ toolCallId }: Open): string => `ask-${toolCallId}`

const USAGE = { provider: 'scripted', model: 'scripted', inputTokens: 1, outputTokens: 1 }

function userEvents(messageId: string, delta: string): AguiEvent[] {
  return [
    { type: EventType.TEXT_MESSAGE_START, messageId, role: 'user' },
    { type: EventType.TEXT_MESSAGE_CONTENT, messageId, delta },
    { type: EventType.TEXT_MESSAGE_END, messageId },
  ]
}
