import type { AguiEvent } from '../agui/event.ts'
import { createNeedles } from './needles.ts'
import { restoreShown } from './restore.ts'
import { StreamRedactor } from './stream-redactor.ts'
import { TextStream } from './text-stream.ts'
import { TOKEN_FORMS, type TokenForm } from './token-forms.ts'

export interface RedactorOptions {
  /** Known secrets in plain text. */
  values: readonly string[]
  /** Token forms to search for; the well-known ones by default. */
  patterns?: readonly TokenForm[]
}

/** Removes secrets from everything that leaves the runner. Text for Claude Code does not pass here. */
export interface Redactor {
  redactText(text: string): string
  /** Redacts every string at any depth. A value without secrets is returned itself, not as a copy. */
  redactValue<T>(value: T): T
  /** Redacts one event that is not part of a stream. */
  redactEvent<E extends AguiEvent>(event: E): E
  /** Redacts a text that arrives in pieces, wherever it was cut. */
  redactPieces(pieces: AsyncIterable<string>): AsyncGenerator<string>
  /**
   * Restores a value that a client sent back after it was shown `original`. Removed secrets are put back where the value
   * is unchanged. `name` stands for the value in errors.
   *
   * @throws {RunnerError} `invalid_input` when a marker stands anywhere else.
   */
  restore(sent: unknown, of: { original: unknown; name: string }): unknown
  /** Creates the redactor of one run's events, which must come in order. */
  createStream(): StreamRedactor
  /** Upper bound of the characters of one message that are held back. */
  readonly heldCharsMax: number
}

/** Members that only the model reads, which needs them unchanged. */
const UNTOUCHED: ReadonlySet<string> = new Set(['encryptedValue'])
/** Members that tie the events of a stream together; each event must spell them alike. */
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
/** Greatest depth of a value. Deeper values are replaced whole: such JSON is an attack on the stack. */
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

  // Strings are replaced by strings only, so the type stays.
  const redactValue = <T>(value: T): T => redactUnknown(value, 0) as T
  function restore(sent: unknown, { original, name }: { original: unknown; name: string }): unknown {
    const json = JSON.stringify(original)
    const shownJson = redactText(json)
    const shown = redactValue(original)
    // Nothing was redacted, so a marker in the value is the sender's own word.
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

/** Returns the object itself when `redact` changes nothing. */
function redactMembers(value: object, redact: (key: string, member: unknown) => [string, unknown]): object {
  const before = Object.entries(value)
  const after = before.map(([key, member]) => redact(key, member))
  const isSame = after.every(([key, member], at) => key === before[at]?.[0] && member === before[at][1])
  return isSame ? value : Object.fromEntries(after)
}
