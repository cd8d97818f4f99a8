import type { AguiEvent } from '../agui/event.ts'
import { createNeedles } from './needles.ts'
import { restoreShown } from './restore.ts'
import { StreamRedactor } from './stream-redactor.ts'
import { TextStream } from './text-stream.ts'
import { TOKEN_FORMS, type TokenForm } from './token-forms.ts'

export interface RedactorOptions {
  /** Known secrets, as they are. */
  values: readonly string[]
  /** Forms that give a token away; the well-known ones when left out. */
  patterns?: readonly TokenForm[]
}

/** Takes secrets out of everything that leaves the runner. What goes to Claude Code does not pass here. */
export interface Redactor {
  redactText(text: string): string
  /** Every string in it, at any depth. What has none comes back as it is, not as a copy. */
  redactValue<T>(value: T): T
  /** An event that is no part of a stream, or a whole one. */
  redactEvent<E extends AguiEvent>(event: E): E
  /** A text that comes in pieces, wherever it was cut. */
  redactPieces(pieces: AsyncIterable<string>): AsyncGenerator<string>
  /**
   * A value that came back from where `original` was shown; `name` is what an error calls it. Secrets that were taken
   * out are put back where the value is as it was shown.
   *
   * @throws {RunnerError} `invalid_input` when a marker is somewhere else.
   */
  restore(sent: unknown, of: { original: unknown; name: string }): unknown
  /** For the events of one run, in order. */
  createStream(): StreamRedactor
  /** So many characters of one message may wait for what follows. */
  readonly heldCharsMax: number
}

/** Opaque to everybody but the model, which needs it unchanged. */
const UNTOUCHED: ReadonlySet<string> = new Set(['encryptedValue'])
/** What ties the events of a stream together must be the same in each of them, its deltas too. */
const IDS: ReadonlySet<string> = new Set([
  'type',
  'threadId',
  'runId',
  'parentRunId',
  'messageId',
  'parentMessageId',
  'toolCallId',
  'subagentRunId',
])
/** Deeper values are replaced whole: JSON that deep is no message but an attack on the stack. */
const DEPTH_MAX = 256

export function createRedactor({ values, patterns = TOKEN_FORMS }: RedactorOptions): Redactor {
  const needles = createNeedles(values, patterns)

  function redactText(text: string): string {
    const stream = new TextStream(needles)
    return stream.push(text) + stream.flush()
  }

  async function* redactPieces(pieces: AsyncIterable<string>): AsyncGenerator<string> {
    const stream = new TextStream(needles)
    for await (const piece of pieces) yield stream.push(piece)
    yield stream.flush()
  }

  function redactUnknown(value: unknown, depth: number): unknown {
    if (typeof value === 'string') return redactText(value)
    if (typeof value !== 'object' || value === null) return value
    if (depth > DEPTH_MAX) return null
    if (Array.isArray(value)) {
      const items = value.map((item) => redactUnknown(item, depth + 1))
      return items.every((item, index) => item === value[index]) ? value : items
    }
    return redactMembers(value, (key, member) =>
      UNTOUCHED.has(key) ? [key, member] : [redactText(key), redactUnknown(member, depth + 1)],
    )
  }

  // What is replaced are strings by strings, so the type stays.
  const redactValue = <T>(value: T): T => redactUnknown(value, 0) as T
  function restore(sent: unknown, { original, name }: { original: unknown; name: string }): unknown {
    const json = JSON.stringify(original)
    const shownJson = redactText(json)
    const shown = redactValue(original)
    // Then a marker is somebody's own word.
    if (shown === original && shownJson === json) return sent
    return restoreShown(sent, { original, forms: [shown, JSON.parse(shownJson)], name })
  }

  const redactEvent = <E extends AguiEvent>(event: E): E =>
    redactMembers(event, (key, member) =>
      IDS.has(key) || UNTOUCHED.has(key) ? [key, member] : [key, redactUnknown(member, 1)],
    ) as E
  return {
    redactText,
    redactValue,
    redactEvent,
    redactPieces,
    restore,
    createStream: () => new StreamRedactor(needles, redactEvent),
    heldCharsMax: needles.heldCharsMax,
  }
}

/** The object itself when `redact` changes nothing. */
function redactMembers(value: object, redact: (key: string, member: unknown) => [string, unknown]): object {
  const before = Object.entries(value)
  const after = before.map(([key, member]) => redact(key, member))
  const isSame = after.every(([key, member], at) => key === before[at]?.[0] && member === before[at][1])
  return isSame ? value : Object.fromEntries(after)
}
