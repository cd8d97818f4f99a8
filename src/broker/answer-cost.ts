import type { MessageDeltaUsage, RawMessageStreamEvent, Usage } from '@anthropic-ai/sdk/resources/messages'
import { createParser } from 'eventsource-parser'
import { z } from 'zod'
import { parseJson } from '../json.ts'
import type { AnswerReader } from './relay.ts'
import type { Tokens } from './session.ts'

/** Longest unstreamed answer that is parsed, in bytes. A message is never longer. */
const JSON_BYTES_MAX = 8 * 1024 * 1024
/** Estimate for an answer that was cut before its token count came. */
const CHARS_A_TOKEN = 4

const count = z.number().nonnegative().nullish()
const Counted = z.object({
  input_tokens: count,
  output_tokens: count,
  cache_read_input_tokens: count,
  cache_creation_input_tokens: count,
}) satisfies z.ZodType<Partial<Record<keyof Usage & keyof MessageDeltaUsage, number | null | undefined>>>

const Started = z.object({
  type: z.literal('message_start' satisfies RawMessageStreamEvent['type']),
  message: z.object({ usage: Counted }),
})
const Delta = z.object({
  type: z.literal('message_delta' satisfies RawMessageStreamEvent['type']),
  usage: Counted,
})
const Whole = z.object({ type: z.literal('message'), usage: Counted })

/** Reads the token counts of a passing answer. `onEnd` is called once. */
export function usageReader(isStream: boolean, onEnd: (tokens: Tokens) => void): AnswerReader {
  return isStream ? streamReader(onEnd) : jsonReader(onEnd)
}

function streamReader(onEnd: (tokens: Tokens) => void): AnswerReader {
  let tokens: Tokens = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 }
  let chars = 0
  let isCounted = false
  const parser = createParser({
    onEvent({ event, data }) {
      chars += event === 'content_block_delta' ? data.length : 0
      if (event === 'message_start') {
        const { data: started } = Started.safeParse(parseJson(data))
        if (started !== undefined) tokens = withCounts(tokens, started.message.usage)
      } else if (event === 'message_delta') {
        const { data: delta } = Delta.safeParse(parseJson(data))
        isCounted ||= delta !== undefined
        if (delta !== undefined) tokens = withCounts(tokens, delta.usage)
      }
    },
  })
  const decoder = new TextDecoder()
  return {
    feed: (piece) => parser.feed(decoder.decode(piece, { stream: true })),
    end() {
      const output = isCounted ? tokens.output : Math.max(tokens.output, Math.ceil(chars / CHARS_A_TOKEN))
      onEnd({ ...tokens, output })
    },
  }
}

function jsonReader(onEnd: (tokens: Tokens) => void): AnswerReader {
  const pieces: Buffer[] = []
  let length = 0
  return {
    feed(piece) {
      length += piece.length
      if (length <= JSON_BYTES_MAX) pieces.push(piece)
    },
    end() {
      const { data } = Whole.safeParse(parseJson(Buffer.concat(pieces).toString('utf8')))
      if (data !== undefined)
        onEnd(withCounts({ input: 0, output: 0, cacheRead: 0, cacheWrite: 0 }, data.usage))
    },
  }
}

/** Merges a later count, which is of the whole answer so far. Members that it lacks stay. */
function withCounts(tokens: Tokens, counted: z.infer<typeof Counted>): Tokens {
  return {
    input: counted.input_tokens ?? tokens.input,
    output: counted.output_tokens ?? tokens.output,
    cacheRead: counted.cache_read_input_tokens ?? tokens.cacheRead,
    cacheWrite: counted.cache_creation_input_tokens ?? tokens.cacheWrite,
  }
}
