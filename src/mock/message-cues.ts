// Turns a reply into a sequence of cues: what to send, and where to wait. Nothing here waits: `playCues` does.

import { createId, toApiErrorBody, toEvent } from './messages-stream.ts'
import { DELTAS_MAX, type ScriptStep, type StepOf } from './script.ts'

/** Characters per token, a coarse estimate for usage that the script does not state. */
const CHARS_PER_TOKEN = 4
/** Input tokens that stand for Claude Code's own system prompt and tools; fixed, so that recordings stay equal. */
const INPUT_TOKENS_BASE = 100
/** Size of a batch of deltas that need no pace, in characters. */
const BATCH_CHARS = 32 * 1024
/** Shortest wait between paced deltas, in milliseconds; a timer cannot wait less. */
const PACE_MS_MIN = 1

/** Why a stream breaks: the socket is destroyed (`drop`), or the gateway cuts the stream (openshell.md 4.4). */
export type StreamFault = 'drop' | 'idle' | 'size' | 'read'

/** A text to send, a wait before the next cue, or a fault that ends the stream. */
export type Cue =
  | string
  | { readonly kind: 'pause'; readonly ms: number }
  | { readonly kind: 'gate'; readonly name: string }
  | { readonly kind: 'hang' }
  | { readonly kind: 'fault'; readonly fault: StreamFault }

export interface MessageContext {
  readonly model: string
  /** The prompt, whose length decides the default input tokens. */
  readonly prompt: string
}

type BlockKind = 'text' | 'thinking' | 'redacted_thinking' | 'tool_use'
type Cues = Generator<Cue, void, undefined>

interface Draft {
  index: number
  open: BlockKind | undefined
  chars: number
}

/** Yields the cues of a streaming answer, from message_start to message_stop. */
export function* toStreamCues(steps: readonly ScriptStep[], context: MessageContext): Cues {
  const draft: Draft = { index: -1, open: undefined, chars: 0 }
  const message = { ...toMessageHead(context), content: [], stop_reason: null, stop_sequence: null }
  yield toEvent('message_start', { message: { ...message, usage: toUsage(steps, context) } })
  for (const step of steps) {
    if ('cut' in step) return
    if ('streamError' in step) {
      const { type, message: text = type } = step.streamError
      yield toEvent('error', { error: toApiErrorBody(type, text).error })
      return
    }
    yield* toStepCues(step, draft)
  }
  yield* closeBlock(draft)
  const usage = toUsage(steps, context, draft.chars)
  yield toEvent('message_delta', { delta: toStop(steps), usage })
  yield toEvent('message_stop')
}

/** Yields the whole message for a request with `stream: false`; waits of the steps are cues here too. */
export function* toMessageCues(steps: readonly ScriptStep[], context: MessageContext): Cues {
  const content: Record<string, unknown>[] = []
  for (const step of steps) {
    if ('pause' in step || 'gate' in step || 'hang' in step || 'drop' in step || 'truncate' in step) {
      yield* toStepCues(step, { index: 0, open: undefined, chars: 0 })
    } else if ('streamError' in step || 'cut' in step) {
      yield { kind: 'fault', fault: 'drop' }
    } else {
      content.push(...toBlocks(step))
    }
  }
  const usage = toUsage(steps, context, JSON.stringify(content).length)
  yield JSON.stringify({ ...toMessageHead(context), content, ...toStop(steps), usage })
}

function toMessageHead(context: MessageContext): Record<string, unknown> {
  return { id: createId('msg'), type: 'message', role: 'assistant', model: context.model }
}

function toBlocks(step: ScriptStep): Record<string, unknown>[] {
  if ('text' in step) return [{ type: 'text', text: [step.text].flat().join('') }]
  if ('thinking' in step) {
    return [
      { type: 'thinking', thinking: [step.thinking].flat().join(''), signature: step.signature ?? 'mock' },
    ]
  }
  if ('redactedThinking' in step) return [{ type: 'redacted_thinking', data: step.redactedThinking }]
  if ('tool' in step) {
    return [{ type: 'tool_use', id: step.id || createId('toolu'), name: step.tool, input: step.input ?? {} }]
  }
  if ('deltas' in step) return [{ type: 'text', text: [...deltaTexts(step.deltas)].join('') }]
  return []
}

function* toStepCues(step: ScriptStep, draft: Draft): Cues {
  if ('text' in step) yield* textCues(step, draft)
  else if ('thinking' in step) yield* thinkingCues(step, draft)
  else if ('redactedThinking' in step) {
    yield* openBlock(draft, 'redacted_thinking', { data: step.redactedThinking })
    yield* closeBlock(draft)
  } else if ('tool' in step) yield* toolCues(step, draft)
  else if ('deltas' in step) yield* deltasCues(step, draft)
  else if ('raw' in step) yield step.raw
  else if ('pause' in step) yield { kind: 'pause', ms: step.pause }
  else if ('gate' in step) yield { kind: 'gate', name: step.gate }
  else if ('hang' in step) yield { kind: 'hang' }
  else if ('drop' in step) yield { kind: 'fault', fault: 'drop' }
  else if ('truncate' in step) yield { kind: 'fault', fault: step.truncate }
}

function* textCues(step: StepOf<'text'>, draft: Draft): Cues {
  if (draft.open !== 'text') yield* openBlock(draft, 'text', { text: '' })
  yield* pacedDeltas(cutPieces(step.text, step.pieces), step.everyMs, (text) => {
    draft.chars += text.length
    return toDelta(draft, { type: 'text_delta', text })
  })
  if (step.open !== true) yield* closeBlock(draft)
}

function* thinkingCues(step: StepOf<'thinking'>, draft: Draft): Cues {
  if (draft.open !== 'thinking') yield* openBlock(draft, 'thinking', { thinking: '', signature: '' })
  yield* pacedDeltas(cutPieces(step.thinking, step.pieces), step.everyMs, (thinking) => {
    draft.chars += thinking.length
    return toDelta(draft, { type: 'thinking_delta', thinking })
  })
  if (step.open === true) return
  yield toDelta(draft, { type: 'signature_delta', signature: step.signature ?? 'mock' })
  yield* closeBlock(draft)
}

function* toolCues(step: StepOf<'tool'>, draft: Draft): Cues {
  yield* openBlock(draft, 'tool_use', { id: step.id || createId('toolu'), name: step.tool, input: {} })
  const json = step.rawInput ?? JSON.stringify(step.input ?? {})
  yield* pacedDeltas(cutPieces(json, step.pieces), step.everyMs, (partial) => {
    draft.chars += partial.length
    return toDelta(draft, { type: 'input_json_delta', partial_json: partial })
  })
  if (step.open !== true) yield* closeBlock(draft)
}

function* deltasCues(step: StepOf<'deltas'>, draft: Draft): Cues {
  if (draft.open !== 'text') yield* openBlock(draft, 'text', { text: '' })
  const { perSecond } = step.deltas
  const started = performance.now()
  let sent = 0
  let batch = ''
  for (const text of deltaTexts(step.deltas)) {
    draft.chars += text.length
    batch += toDelta(draft, { type: 'text_delta', text })
    sent += 1
    const early = perSecond === undefined ? 0 : (sent * 1000) / perSecond - (performance.now() - started)
    if (batch.length < BATCH_CHARS && early < PACE_MS_MIN) continue
    yield batch
    batch = ''
    if (early >= PACE_MS_MIN) yield { kind: 'pause', ms: early }
  }
  yield batch
  if (step.open !== true) yield* closeBlock(draft)
}

function* deltaTexts(deltas: StepOf<'deltas'>['deltas']): Generator<string> {
  const wanted = Math.trunc(Number(deltas.count))
  const count = Number.isFinite(wanted) ? Math.min(Math.max(wanted, 0), DELTAS_MAX) : 0
  const { text = 'word ' } = deltas
  const numbered = text.includes('{{n}}')
  for (let n = 1; n <= count; n += 1) yield numbered ? text.replaceAll('{{n}}', String(n)) : text
}

function* pacedDeltas(
  texts: readonly string[],
  everyMs: number | undefined,
  send: (text: string) => string,
): Cues {
  for (const [index, text] of texts.entries()) {
    if (everyMs !== undefined && index > 0) yield { kind: 'pause', ms: everyMs }
    yield send(text)
  }
}

function* openBlock(draft: Draft, kind: BlockKind, fields: Record<string, unknown>): Cues {
  yield* closeBlock(draft)
  draft.index += 1
  draft.open = kind
  yield toEvent('content_block_start', { index: draft.index, content_block: { type: kind, ...fields } })
}

function* closeBlock(draft: Draft): Cues {
  if (draft.open === undefined) return
  draft.open = undefined
  yield toEvent('content_block_stop', { index: draft.index })
}

function toDelta(draft: Draft, delta: Record<string, unknown>): string {
  return toEvent('content_block_delta', { index: draft.index, delta })
}

/** Cuts a text between characters; a list is already cut. The joined pieces equal the text. */
function cutPieces(text: string | string[], pieces: number | 'words' | undefined): string[] {
  if (Array.isArray(text)) return text
  if (pieces === undefined) return [text]
  if (pieces === 'words') return text.match(/\s*\S+|\s+/g) ?? []
  const characters = [...text]
  const size = Math.max(1, Math.ceil(characters.length / pieces))
  const cut: string[] = []
  for (let at = 0; at < characters.length; at += size) cut.push(characters.slice(at, at + size).join(''))
  return cut
}

function toStop(steps: readonly ScriptStep[]): { stop_reason: string; stop_sequence: string | null } {
  const step = steps.findLast((candidate) => 'stop' in candidate)
  const usual = steps.some((candidate) => 'tool' in candidate) ? 'tool_use' : 'end_turn'
  return { stop_reason: step?.stop ?? usual, stop_sequence: step?.sequence ?? null }
}

function toUsage(
  steps: readonly ScriptStep[],
  context: MessageContext,
  chars?: number,
): Record<string, number> {
  const given = steps.findLast((step) => 'usage' in step)?.usage
  return {
    input_tokens: given?.input ?? INPUT_TOKENS_BASE + Math.ceil(context.prompt.length / CHARS_PER_TOKEN),
    cache_creation_input_tokens: given?.cacheCreation ?? 0,
    cache_read_input_tokens: given?.cacheRead ?? 0,
    output_tokens: chars === undefined ? 1 : (given?.output ?? Math.ceil(chars / CHARS_PER_TOKEN)),
  }
}
