import { EventType, type TokenUsage } from '@ag-ui/core'
import {
  type Attributes,
  type Context,
  defaultTextMapGetter,
  defaultTextMapSetter,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type TextMapPropagator,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import type { ModelCall } from '../agent/trace.ts'
import type { AguiEvent } from '../agui/event.ts'
import { readOwn } from '../agui/own-events.ts'
import {
  claudeExited,
  claudeStarted,
  modelAsked,
  policyDenied,
  type RunEnded,
  type RunStarted,
  runAnswered,
  runEnded,
  runSaid,
  runStarted,
} from '../channels.ts'
import { SpanContent } from './span-content.ts'

export interface RunSpansOptions {
  tracer: Tracer
  propagator: TextMapPropagator
  /** The agent's name, as `gen_ai.agent.name`. */
  agentName: string
  /** The provider of the model, as `gen_ai.provider.name`. */
  provider: string
  /** Whether spans contain the messages and the arguments and results of tools. */
  capturesContent: boolean
}

/** Upper bound of the remembered tool calls whose run ended before their result. A result may come later, or never. */
const WAITING_CALLS_MAX = 1000

/**
 * Traces each run from what the channels publish, by OpenTelemetry's conventions for generative AI. A run is an
 * `invoke_agent` span. It contains a `chat` span for each request to the model, and an `execute_tool` span for each
 * tool. The tool's span contains another `invoke_agent` span for a subagent.
 *
 * @returns a function that ends the tracing.
 */
export function traceRuns(options: RunSpansOptions): () => void {
  const runs = new Map<string, RunTrace>()
  const waiting = new Map<string, WaitingCall>()
  /** By thread: the pid of its process, and the span of the run that started it. The process passes this span on. */
  const starters = new Map<string, { pid: number | undefined; context: SpanContext }>()
  const of = ({ threadId, runId = '' }: { threadId: string; runId?: string }): RunTrace | undefined =>
    runs.get(JSON.stringify([threadId, runId]))
  const subscriptions = [
    runStarted.subscribe((started) => {
      const { threadId, runId } = started
      runs.set(JSON.stringify([threadId, runId]), new RunTrace(started, waiting, options))
    }),
    runSaid.subscribe((said) => {
      const run = of(said)
      if (run !== undefined) for (const event of said.events) run.take(event)
    }),
    runAnswered.subscribe((answered) => {
      const run = of(answered)
      run?.note('agui_runner.first_event')
      run?.workedIn(starters.get(answered.threadId)?.context)
    }),
    modelAsked.subscribe((asked) => of(asked)?.asked(asked.call)),
    claudeStarted.subscribe((started) => {
      const { threadId, pid } = started
      const run = of(started)
      run?.note('agui_runner.process.started')
      if (run === undefined) starters.delete(threadId)
      else starters.set(threadId, { pid, context: run.context })
    }),
    claudeExited.subscribe(({ threadId, pid }) => {
      if (starters.get(threadId)?.pid === pid) starters.delete(threadId)
    }),
    policyDenied.subscribe((denied) =>
      of(denied)?.note('agui_runner.policy.denied', {
        'agui_runner.denied.by': denied.by,
        'agui_runner.denied.what': denied.what,
      }),
    ),
    runEnded.subscribe((end) => {
      of(end)?.end(end)
      runs.delete(JSON.stringify([end.threadId, end.runId]))
    }),
  ]
  return () => {
    for (const unsubscribe of subscriptions) unsubscribe()
  }
}

/** A call whose run ended before it ran. */
interface WaitingCall {
  name: string
  content: SpanContent
}

interface ToolSpan extends WaitingCall {
  /** The id of the subagent run that makes the call; undefined for the agent itself. */
  owner: string | undefined
  /** The tool's span; undefined until the tool runs. */
  span: Span | undefined
  /** When it could run, in milliseconds since the epoch; undefined for the end of its call. */
  readyAt?: number
}

interface SubagentSpan {
  span: Span
  parentToolCallId: string | undefined
}

/** The spans of one run. */
class RunTrace {
  readonly #options: RunSpansOptions
  readonly #waiting: Map<string, WaitingCall>
  readonly #root: Span
  readonly #common: Attributes
  readonly #startedAt: number
  readonly #tools = new Map<string, ToolSpan>()
  /** By subagent run id. Ended subagents stay, because their model requests may be reported later. */
  readonly #subagents = new Map<string, SubagentSpan>()
  readonly #content: SpanContent

  constructor(
    { threadId, runId, at, trace: carrier }: RunStarted,
    waiting: Map<string, WaitingCall>,
    options: RunSpansOptions,
  ) {
    const { tracer, propagator, agentName, provider, capturesContent } = options
    this.#options = options
    this.#waiting = waiting
    this.#startedAt = at
    this.#content = new SpanContent(capturesContent)
    this.#common = { 'gen_ai.provider.name': provider, 'gen_ai.conversation.id': threadId }
    const attributes = {
      ...this.#common,
      'gen_ai.operation.name': 'invoke_agent',
      'gen_ai.agent.name': agentName,
      'agui_runner.run.id': runId,
    }
    const parent = propagator.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter)
    const name = `invoke_agent ${agentName}`
    this.#root = tracer.startSpan(name, { kind: SpanKind.INTERNAL, attributes, startTime: at }, parent)
    // Puts the run's span into the carrier, so that the systems that the run calls see it as their parent.
    propagator.inject(trace.setSpan(ROOT_CONTEXT, this.#root), carrier, defaultTextMapSetter)
  }

  note(name: string, attributes: Attributes = {}): void {
    this.#root.addEvent(name, attributes)
  }

  get context(): SpanContext {
    return this.#root.spanContext()
  }

  /** Links the run whose process this run uses: what the process starts belongs to that run's trace. */
  workedIn(other: SpanContext | undefined): void {
    if (other !== undefined && other.spanId !== this.context.spanId) this.#root.addLink({ context: other })
  }

  take(event: AguiEvent): void {
    switch (event.type) {
      case EventType.RUN_STARTED:
        this.#content.asked(event.input?.messages ?? [])
        return
      case EventType.TEXT_MESSAGE_START:
      case EventType.TEXT_MESSAGE_CONTENT:
        if (event.subagentRunId === undefined) this.#content.said(event)
        return
      case EventType.TOOL_CALL_START: {
        const { toolCallId, toolCallName: name, subagentRunId: owner } = event
        const content = new SpanContent(this.#options.capturesContent)
        this.#tools.set(toolCallId, { name, owner, span: undefined, content })
        return
      }
      case EventType.TOOL_CALL_ARGS:
        this.#tools.get(event.toolCallId)?.content.add(event.delta)
        return
      case EventType.TOOL_CALL_END:
        this.#runs(event.toolCallId)
        return
      case EventType.TOOL_CALL_RESULT:
        this.#answered(event)
        return
      case EventType.CUSTOM: {
        const edited = readOwn('tool_call_edited', event)
        if (edited === undefined) return
        this.#recall(edited.toolCallId, event.subagentRunId)
        this.#tools.get(edited.toolCallId)?.content.edit(JSON.stringify(edited.args))
        return
      }
      case EventType.SUBAGENT_STARTED:
        this.#invoked(event)
        return
      case EventType.SUBAGENT_FINISHED:
        this.#subagents.get(event.subagentRunId)?.span.end(Date.now())
        return
      case EventType.SUBAGENT_ERROR: {
        const subagent = this.#subagents.get(event.subagentRunId)
        if (subagent !== undefined) fail(subagent.span, event.code ?? 'failed').end(Date.now())
        return
      }
    }
  }

  asked(call: ModelCall): void {
    const { parentToolCallId, startedAt, answeredAt, endedAt, model, responseId, stopReason, error } = call
    const attributes = {
      ...this.#common,
      'gen_ai.operation.name': 'chat',
      'gen_ai.request.stream': true,
      ...(model !== undefined && { 'gen_ai.request.model': model, 'gen_ai.response.model': model }),
      ...(responseId !== undefined && { 'gen_ai.response.id': responseId }),
      ...(stopReason !== undefined && { 'gen_ai.response.finish_reasons': [stopReason] }),
      ...(answeredAt !== undefined && {
        'gen_ai.response.time_to_first_chunk': (answeredAt - startedAt) / 1000,
      }),
      ...usageAttributes(call.usage),
    }
    const name = model === undefined ? 'chat' : `chat ${model}`
    const parent = this.#askedFor(parentToolCallId)
    const span = this.#start(name, { kind: SpanKind.CLIENT, attributes, startTime: startedAt }, parent)
    if (error !== undefined) fail(span, error)
    span.end(endedAt)
  }

  end({ outcome, code, usage = [] }: RunEnded): void {
    const error = outcome === 'error' ? (code ?? 'internal') : outcome === 'cancelled' ? outcome : undefined
    for (const [id, tool] of this.#tools) this.#leave(id, tool, error)
    for (const { span } of this.#subagents.values()) {
      if (!span.isRecording()) continue
      if (error !== undefined) fail(span, error)
      span.end(Date.now())
    }
    const [only] = usage.length === 1 ? usage : []
    this.#root.setAttributes({
      'agui_runner.outcome': outcome,
      ...(only?.model !== undefined && { 'gen_ai.response.model': only.model }),
      ...usageAttributes(sum(usage)),
      ...this.#content.ofMessages(outcome),
    })
    // A cancelled run was stopped on purpose. That is no failure.
    if (outcome === 'error') fail(this.#root, code ?? 'internal')
    this.#root.end(Date.now())
  }

  /** Settles a call without a result. After a run without an error it is remembered, as it may run in a later run. */
  #leave(id: string, { name, content, span }: ToolSpan, error: string | undefined): void {
    if (error === undefined) {
      this.#waiting.set(id, { name, content })
      for (const oldest of this.#waiting.keys()) {
        if (this.#waiting.size <= WAITING_CALLS_MAX) break
        this.#waiting.delete(oldest)
      }
    } else if (span !== undefined) fail(span, error).end(Date.now())
  }

  /** Returns the span of a call, and starts it on the first use. Returns undefined for an unknown call. */
  #runs(toolCallId: string): Span | undefined {
    const tool = this.#tools.get(toolCallId)
    if (tool === undefined) return undefined
    const { name, owner, readyAt: startTime = Date.now() } = tool
    const attributes = {
      ...this.#common,
      'gen_ai.operation.name': 'execute_tool',
      'gen_ai.tool.name': name,
      'gen_ai.tool.call.id': toolCallId,
      'gen_ai.tool.type': name.startsWith('mcp__') ? 'extension' : 'function',
    }
    tool.span ??= this.#start(
      `execute_tool ${name}`,
      { kind: SpanKind.INTERNAL, attributes, startTime },
      owner === undefined ? undefined : this.#subagents.get(owner)?.span,
    )
    return tool.span
  }

  #answered(event: Extract<AguiEvent, { type: EventType.TOOL_CALL_RESULT }>): void {
    const { toolCallId, content, subagentRunId: owner, metadata } = event
    this.#recall(toolCallId, owner)
    const span = this.#runs(toolCallId)
    const tool = this.#tools.get(toolCallId)
    this.#tools.delete(toolCallId)
    if (span === undefined || tool === undefined) return
    span.setAttributes(tool.content.ofTool(content))
    if (isError(metadata)) fail(span, 'tool_error')
    span.end(Date.now())
  }

  /** Takes up a call of an earlier run. It waited for an answer until this run began. */
  #recall(toolCallId: string, owner?: string): void {
    const waiting = this.#waiting.get(toolCallId)
    if (waiting === undefined || this.#tools.has(toolCallId)) return
    this.#waiting.delete(toolCallId)
    this.#tools.set(toolCallId, { ...waiting, owner, span: undefined, readyAt: this.#startedAt })
  }

  #invoked(event: Extract<AguiEvent, { type: EventType.SUBAGENT_STARTED }>): void {
    const { subagentRunId, name = 'subagent', parentToolCallId, parentSubagentRunId } = event
    const attributes = {
      ...this.#common,
      'gen_ai.operation.name': 'invoke_agent',
      'gen_ai.agent.name': name,
      'gen_ai.agent.id': subagentRunId,
    }
    // A subagent may start before the end of its tool call.
    const call = parentToolCallId === undefined ? undefined : this.#runs(parentToolCallId)
    const parent = parentSubagentRunId === undefined ? undefined : this.#subagents.get(parentSubagentRunId)
    const span = this.#start(
      `invoke_agent ${name}`,
      { kind: SpanKind.INTERNAL, attributes, startTime: Date.now() },
      call ?? parent?.span,
    )
    this.#subagents.set(subagentRunId, { span, parentToolCallId })
  }

  /** Returns the span of the subagent that asked the model, and undefined for the agent itself. */
  #askedFor(toolCallId: string | undefined): Span | undefined {
    if (toolCallId === undefined) return undefined
    const subagents = [...this.#subagents.values()]
    return subagents.findLast((subagent) => subagent.parentToolCallId === toolCallId)?.span
  }

  #start(
    name: string,
    options: { kind: SpanKind; attributes: Attributes; startTime: number },
    parent: Span = this.#root,
  ): Span {
    const context: Context = trace.setSpan(ROOT_CONTEXT, parent)
    return this.#options.tracer.startSpan(name, options, context)
  }
}

/** Marks a span as failed. It gets the kind of the failure only, because a message may repeat the conversation. */
function fail(span: Span, kind: string): Span {
  span.setStatus({ code: SpanStatusCode.ERROR, message: kind })
  span.setAttribute('error.type', kind)
  return span
}

function isError(metadata: unknown): boolean {
  if (typeof metadata !== 'object' || metadata === null || !('agui-runner' in metadata)) return false
  const { 'agui-runner': facts } = metadata
  return typeof facts === 'object' && facts !== null && 'isError' in facts && facts.isError === true
}

const COUNTS = {
  inputTokens: 'gen_ai.usage.input_tokens',
  outputTokens: 'gen_ai.usage.output_tokens',
  cachedInputTokens: 'gen_ai.usage.cache_read.input_tokens',
  cacheWriteInputTokens: 'gen_ai.usage.cache_creation.input_tokens',
  reasoningTokens: 'gen_ai.usage.reasoning.output_tokens',
} as const satisfies Partial<Record<keyof TokenUsage, string>>

const COUNT_NAMES = [
  'inputTokens',
  'outputTokens',
  'cachedInputTokens',
  'cacheWriteInputTokens',
  'reasoningTokens',
] as const

function usageAttributes(usage: TokenUsage | undefined): Attributes {
  if (usage === undefined) return {}
  return Object.fromEntries(COUNT_NAMES.map((name) => [COUNTS[name], usage[name]]))
}

/** Adds up the usage of several models. */
function sum(usage: readonly TokenUsage[]): TokenUsage {
  const counts = COUNT_NAMES.flatMap((name) => {
    const known = usage.flatMap((each) => each[name] ?? [])
    return known.length === 0 ? [] : [[name, known.reduce((total, count) => total + count, 0)] as const]
  })
  return Object.fromEntries(counts)
}
