import type { AguiEvent } from '../../agui/event.ts'
import { ownEvent } from '../../agui/own-events.ts'
import { isObject } from '../../json.ts'
import type { EventOwner } from './blocks.ts'
import { Calls } from './calls.ts'
import { DECISIONS } from './decisions.ts'
import { EndSigns } from './end-signs.ts'
import { UsedIds } from './ids.ts'
import { Lane } from './lane.ts'
import {
  type AssistantMessage,
  blocksOf,
  type ContentBlock,
  type InitMessage,
  kindOf,
  readAssistant,
  readInit,
  readResult,
  readTask,
  readUser,
  type UserMessage,
} from './messages.ts'
import { toNotice, toUnknown } from './notices.ts'
import { Retractions } from './retractions.ts'
import { type ClaudeEnd, factsOf, toApiError, toEnding } from './run-end.ts'
import {
  apiErrorNotice,
  compactedNotice,
  deniedNotice,
  endNotices,
  fallbackNotice,
  mcpNotices,
  progressNotice,
  statusNotices,
} from './status-notices.ts'
import { Subagents } from './subagents.ts'
import { toTaskValue } from './tasks.ts'
import { toToolResult } from './tool-result.ts'
import { parseTranslatorMemory, type TranslatorMemory } from './translator-memory.ts'
import { RunUsage } from './usage.ts'

export interface TranslatorOptions {
  /** The `memory` of the thread's last translator; absent on a new thread. */
  memory?: unknown
  /**
   * Prefix of the MCP tools that stand for the client's own tools. Events name these tools without it and contain no
   * results of them: the client has the results.
   */
  clientToolPrefix?: string
  /** Whether the run must have a result of a given shape. */
  expectsOutput?: boolean
}

type Handler = (message: Record<string, unknown>, out: AguiEvent[]) => void

/** Number of new thinking tokens after which one event is sent: a steady sign of life, not one event per delta. */
const THINKING_TOKENS_STEP = 256

/**
 * Translates the Claude messages of one turn into AG-UI events, as docs/events.md lists them. It is a pure reducer: no
 * clock and no I/O. It sends no lifecycle event of the run; those are the thread's. Never throws: an invalid message
 * passes as `CUSTOM agui-runner.unknown`.
 */
export class Translator {
  readonly #ids: UsedIds
  readonly #calls: Calls
  readonly #main: Lane
  readonly #subagents: Subagents
  readonly #usage: RunUsage
  readonly #retractions = new Retractions()
  readonly #expectsOutput: boolean
  #sessionId: string | undefined
  #init: InitMessage | undefined
  #end: ClaudeEnd | undefined
  #signs = new EndSigns()
  #summaryExpected = false
  #thinkingShown = 0
  readonly #handlers: ReadonlyMap<string, Handler> = new Map<string, Handler>([
    ['assistant', (message, out) => this.#assistant(message, out)],
    ['user', (message, out) => this.#user(message, out)],
    ['result', (message, out) => this.#result(message, out)],
    ['tool_progress', (message, out) => this.#toolProgress(message, out)],
    ['conversation_reset', (message, out) => this.#conversationReset(message, out)],
    ['system/init', (message, out) => this.#start(message, out)],
    ['system/status', (message, out) => out.push(...statusNotices(message))],
    ['system/thinking_tokens', (message, out) => this.#thinkingTokens(message, out)],
    ['system/compact_boundary', (message, out) => this.#compacted(message, out)],
    ['system/local_command_output', (message, out) => this.#localOutput(message, out)],
    ['system/permission_denied', (message, out) => this.#permissionDenied(message, out)],
    ['system/model_refusal_fallback', (message, out) => this.#modelFallback(message, out)],
    ['system/task_started', (message, out) => this.#task(message, out)],
    ['system/task_updated', (message, out) => this.#task(message, out)],
    ['system/task_progress', (message, out) => this.#task(message, out)],
    ['system/task_notification', (message, out) => this.#task(message, out)],
  ])

  constructor(options: TranslatorOptions = {}) {
    const memory = parseTranslatorMemory(options.memory)
    this.#expectsOutput = options.expectsOutput === true
    this.#sessionId = memory.sessionId
    this.#usage = new RunUsage(memory.usage)
    this.#ids = new UsedIds(memory.usedIds)
    this.#calls = new Calls({
      ids: this.#ids,
      clientPrefix: options.clientToolPrefix,
      open: memory.openCalls,
    })
    this.#main = this.#createLane({})
    this.#subagents = new Subagents({
      calls: this.#calls,
      ids: this.#ids,
      suspended: memory.suspended,
      createLane: (subagentRunId) => this.#createLane({ subagentRunId }),
    })
  }

  /** The end of the turn, from Claude Code's `result` message. */
  get end(): ClaudeEnd | undefined {
    return this.#end
  }

  /** The Claude session's id in the last message that had one. */
  get sessionId(): string | undefined {
    return this.#sessionId
  }

  /** Claude Code's `system/init` message of this turn. */
  get init(): InitMessage | undefined {
    return this.#init
  }

  /** The memory for the thread's next translator. It is complete after `close`. */
  get memory(): TranslatorMemory {
    return {
      ...(this.#sessionId === undefined ? {} : { sessionId: this.#sessionId }),
      usage: this.#usage.totals,
      usedIds: this.#ids.recent(),
      suspended: this.#subagents.suspended(),
      openCalls: this.#calls.open(),
    }
  }

  /** Returns the AG-UI id of a tool call that Claude Code names, as in a permission request. */
  toolCallId(toolUseId: string): string {
    return this.#calls.get(toolUseId)?.id ?? toolUseId
  }

  /** Whether the model's answer still streams. It may contain more calls. */
  get isAnswering(): boolean {
    return this.#main.isStreaming
  }

  /** Ids of this run's calls of the client's own tools, in call order. */
  get pendingToolCallIds(): string[] {
    return this.#calls.pending
  }

  /** @param more texts of deltas right behind the message, which differ from it in nothing else. */
  translate(message: unknown, more: readonly string[] = []): AguiEvent[] {
    const out: AguiEvent[] = []
    if (!isObject(message)) out.push(toUnknown(message, 'not an object'))
    else if (message['type'] === 'stream_event') this.#stream(message, more, out)
    else this.#whole(message, out)
    return out
  }

  /** Ends all open messages, calls and subagents. Safe to call twice. */
  close(): AguiEvent[] {
    const out: AguiEvent[] = []
    this.#closeMain(out)
    this.#subagents.close(out)
    return out
  }

  /**
   * Ends the open messages of a run whose turn continues, as when it waits for a person. The next run uses this
   * translator too, and a cut message is opened again under its own id.
   */
  suspend(): AguiEvent[] {
    const out: AguiEvent[] = []
    this.#main.suspend(out)
    this.#subagents.suspend(out)
    this.#calls.forgetPending()
    return out
  }

  #createLane(owner: EventOwner): Lane {
    return new Lane(owner, {
      calls: this.#calls,
      ids: this.#ids,
      onUnknown: (block, out) => out.push(toUnknown(block, `content_block/${block.type}`, owner)),
    })
  }

  /** Closes the main agent's messages. Retracts calls whose arguments are not whole, because they were not made. */
  #closeMain(out: AguiEvent[]): void {
    this.#retractions.retract(this.#main.closeAll(out), { reason: 'cut', owner: {} }, out)
  }

  /** Translates a stream event. This is the hot path: a delta costs two lookups and one event. */
  #stream(message: Record<string, unknown>, more: readonly string[], out: AguiEvent[]): void {
    const { event, parent_tool_use_id: parent } = message
    if (!isObject(event)) return
    const lane = typeof parent === 'string' ? this.#subagents.lane(parent, {}, out) : this.#main
    const index = typeof event['index'] === 'number' ? event['index'] : -1
    switch (event['type']) {
      case 'content_block_delta':
        if (isObject(event['delta'])) lane.delta(index, event['delta'], more, out)
        return
      case 'content_block_start':
        if (index >= 0) lane.openBlock(index, event['content_block'], out)
        return
      case 'content_block_stop':
        lane.closeBlock(index, out)
        return
      case 'message_start':
        this.#begin(lane, event['message'], out)
        return
      case 'message_delta':
        this.#signs.answerEnds(event['delta'])
        return
      case 'message_stop':
        lane.isStreaming = false
        this.#abandon(lane, message['abandoned_blocks'], out)
        return
    }
  }

  #begin(lane: Lane, message: unknown, out: AguiEvent[]): void {
    const id = isObject(message) && typeof message['id'] === 'string' ? message['id'] : 'message'
    this.#summaryExpected = false
    this.#thinkingShown = 0
    if (lane === this.#main) this.#signs.answerBegins()
    this.#retractions.retract(lane.begin(id, out), { reason: 'replaced', owner: lane.owner }, out)
  }

  #abandon(lane: Lane, abandoned: unknown, out: AguiEvent[]): void {
    if (!isObject(abandoned) || typeof abandoned['api_message_id'] !== 'string') return
    const { api_message_id: id, from_block_index: from } = abandoned
    const shown = lane.abandon(id, typeof from === 'number' ? from : 0, out)
    this.#retractions.retract(shown, { reason: 'abandoned', owner: lane.owner }, out)
  }

  #whole(message: Record<string, unknown>, out: AguiEvent[]): void {
    if (typeof message['session_id'] === 'string') this.#sessionId = message['session_id']
    const kind = kindOf(message)
    this.#signs.hear(kind, message)
    const handle = message['type'] === 'result' ? this.#handlers.get('result') : this.#handlers.get(kind)
    if (handle !== undefined) handle(message, out)
    else if (DECISIONS[kind]?.action !== 'drop') out.push(toNotice(message) ?? toUnknown(message, kind))
  }

  #start(message: Record<string, unknown>, out: AguiEvent[]): void {
    this.#init = readInit(message)
    if (this.#init !== undefined) out.push(...mcpNotices(this.#init))
  }

  #assistant(raw: Record<string, unknown>, out: AguiEvent[]): void {
    const message = readAssistant(raw)
    if (message === undefined) {
      out.push(toUnknown(raw, 'assistant'))
      return
    }
    if (this.#retractions.knows(message.uuid)) return
    const lane = this.#laneOf(message, out)
    const blocks = blocksOf(message.message.content)
    if (message.error !== undefined && message.message.model === '<synthetic>') {
      this.#requestFailed(message, blocks, lane, out)
      return
    }
    const { id, model } = message.message
    if (lane === this.#main) this.#usage.answered(message.message)
    const whole = { id, contents: blocks, aborted: message.aborted === true, aside: model === '<synthetic>' }
    const { replaced, ...shown } = lane.whole(whole, out)
    this.#retractions.note(message.uuid, shown)
    this.#retractions.retract(replaced, { reason: 'replaced', owner: lane.owner }, out)
    if (message.supersedes !== undefined) this.#retractions.retractLines(message.supersedes, lane.owner, out)
  }

  #laneOf(message: AssistantMessage | UserMessage, out: AguiEvent[], prompt?: string): Lane {
    const { parent_tool_use_id: parent, agent_id: taskId, subagent_type: name } = message
    if (parent === undefined) return this.#main
    return this.#subagents.lane(parent, { name, description: message.task_description, prompt, taskId }, out)
  }

  /** Keeps the text of a failed request as an error and not as an assistant message. A subagent's is sent at once. */
  #requestFailed(message: AssistantMessage, blocks: ContentBlock[], lane: Lane, out: AguiEvent[]): void {
    const error = toApiError(message, blocks.map((block) => block.text ?? '').join('\n'))
    if (lane === this.#main) this.#signs.apiError = error
    else out.push(apiErrorNotice(error, lane.owner))
  }

  #user(raw: Record<string, unknown>, out: AguiEvent[]): void {
    const message = readUser(raw)
    if (message === undefined) {
      out.push(toUnknown(raw, 'user'))
      return
    }
    if (message.isReplay === true) return
    const blocks = blocksOf(message.message.content)
    const results = blocks.filter((block) => block.type === 'tool_result')
    const prompt = results.length > 0 ? undefined : blocks.map((block) => block.text ?? '').join('\n')
    const lane = this.#laneOf(message, out, prompt)
    for (const block of results) this.#toolResult(block, message, lane.owner, out)
    if (prompt !== undefined && lane === this.#main) this.#injected(message, prompt, out)
  }

  #toolResult(block: ContentBlock, message: UserMessage, owner: EventOwner, out: AguiEvent[]): void {
    if (block.tool_use_id === undefined) return
    const result = toToolResult(block, message.tool_use_result)
    this.#subagents.answered(block.tool_use_id, result, message.tool_use_result, out)
    const id = this.#calls.answer(block.tool_use_id, result, owner, out)
    if (id !== undefined) this.#retractions.note(message.uuid, { messageIds: [id], toolCallIds: [] })
  }

  /** Reports user-role text that no user wrote: the harness tells the model to continue, or a task reports. */
  #injected(message: UserMessage, words: string, out: AguiEvent[]): void {
    if (words.startsWith('[Request interrupted by user')) return
    if (this.#summaryExpected) {
      this.#summaryExpected = false
      return
    }
    this.#signs.isAskedToGoOn = message.isSynthetic === true
    const reason = message.isSynthetic === true ? this.#signs.stopReason : (message.origin?.kind ?? 'other')
    out.push(ownEvent('injected_message', { reason, text: words }))
  }

  #result(raw: Record<string, unknown>, out: AguiEvent[]): void {
    const result = readResult(raw)
    this.#closeMain(out)
    if (result === undefined) {
      const message = 'Claude Code ended the turn with a result that makes no sense.'
      this.#end = { outcome: 'error', code: 'claude_protocol', message, facts: {} }
      return
    }
    this.#usage.add(result)
    const signs = { ...this.#signs, expectsOutput: this.#expectsOutput }
    this.#signs = new EndSigns()
    const ending = toEnding(result, signs)
    out.push(...endNotices(result, ending, signs))
    this.#end = { ...ending, ...this.#usage.used(this.#init?.model), facts: factsOf(result) }
  }

  #compacted(message: Record<string, unknown>, out: AguiEvent[]): void {
    this.#summaryExpected = true
    out.push(compactedNotice(message))
  }

  #thinkingTokens(message: Record<string, unknown>, out: AguiEvent[]): void {
    const { estimated_tokens: tokens } = message
    if (typeof tokens !== 'number') return
    // A new thinking block counts from zero again.
    if (tokens < this.#thinkingShown) this.#thinkingShown = 0
    if (tokens - this.#thinkingShown < THINKING_TOKENS_STEP) return
    this.#thinkingShown = tokens
    out.push(ownEvent('thinking_tokens', { estimatedTokens: tokens }))
  }

  #localOutput(message: Record<string, unknown>, out: AguiEvent[]): void {
    const { uuid, content } = message
    if (typeof content !== 'string') return
    const id = typeof uuid === 'string' ? uuid : 'local-output'
    this.#main.whole({ id, contents: blocksOf(content), aside: true }, out)
  }

  #permissionDenied(message: Record<string, unknown>, out: AguiEvent[]): void {
    out.push(deniedNotice(message, this.#calls) ?? toUnknown(message, kindOf(message)))
  }

  #toolProgress(message: Record<string, unknown>, out: AguiEvent[]): void {
    out.push(progressNotice(message, this.#calls) ?? toUnknown(message, kindOf(message)))
  }

  #modelFallback(message: Record<string, unknown>, out: AguiEvent[]): void {
    const { event, retracted } = fallbackNotice(message)
    out.push(event)
    this.#retractions.retractLines(retracted, {}, out)
  }

  #conversationReset(message: Record<string, unknown>, out: AguiEvent[]): void {
    const { trigger } = message
    this.#usage.reset()
    out.push(ownEvent('conversation_reset', { trigger: typeof trigger === 'string' ? trigger : undefined }))
  }

  #task(raw: Record<string, unknown>, out: AguiEvent[]): void {
    const task = readTask(raw)
    const kind = kindOf(raw)
    if (task === undefined) out.push(toUnknown(raw, kind))
    // A task that skips the transcript is housekeeping that the CLI itself hides.
    if (task === undefined || task.skip_transcript === true || this.#subagents.take(kind, task, out)) return
    const call = this.#calls.get(task.tool_use_id ?? '')
    const owner = this.#subagents.laneOf(task)?.owner ?? call?.owner
    out.push(ownEvent('task', toTaskValue(task, kind.slice('system/task_'.length), call?.id), owner))
  }
}
