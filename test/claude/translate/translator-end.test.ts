import { describe, expect, test } from 'vitest'
import { Translator, type TranslatorOptions } from '../../../src/claude/translate/translator.ts'

const success = { type: 'result', subtype: 'success', is_error: false, result: 'done', num_turns: 1 }
const failed = { ...success, is_error: true, terminal_reason: 'api_error' }
const synthetic = (error: string, text: string, parent: string | null = null): object => ({
  type: 'assistant',
  message: { id: `e-${error}`, model: '<synthetic>', content: [{ type: 'text', text }] },
  parent_tool_use_id: parent,
  error,
})

function endOf(...messages: object[]): Translator['end'] {
  return endWith({}, ...messages)
}

function endWith(options: TranslatorOptions, ...messages: object[]): Translator['end'] {
  const translator = new Translator(options)
  for (const message of messages) translator.translate(message)
  return translator.end
}

describe('the end', () => {
  test('is not there before the result', () => {
    expect(endOf(synthetic('unknown', 'x'))).toBeUndefined()
  })

  test('of a turn that worked is success, with the structured output as its result', () => {
    expect(endOf(success)).toMatchObject({ outcome: 'success' })
    expect(endOf(success)).not.toHaveProperty('result')
    expect(endOf({ ...success, structured_output: { a: 1 } })).toMatchObject({ result: { a: 1 } })
    expect(endOf({ ...success, structured_output: null })).not.toHaveProperty('result')
  })

  test.each(['aborted_streaming', 'aborted_tools'])(
    'of a turn that was interrupted (%s) is cancelled',
    (reason) => {
      const result = {
        type: 'result',
        subtype: 'error_during_execution',
        is_error: true,
        terminal_reason: reason,
      }
      expect(endOf({ ...result, errors: ['[ede_diagnostic]'] })).toMatchObject({ outcome: 'cancelled' })
    },
  )

  test.each(['error_max_turns', 'error_max_budget_usd'])(
    'of a turn that met a limit (%s) is cancelled',
    (subtype) => {
      expect(endOf({ type: 'result', subtype, is_error: true })).toMatchObject({ outcome: 'cancelled' })
    },
  )

  test.each<[string, object]>([
    ['schema_not_satisfied', { subtype: 'error_max_structured_output_retries' }],
    ['claude_protocol', { subtype: 'error_during_execution', errors: ['it broke'] }],
    ['claude_protocol', { subtype: 'error_of_tomorrow' }],
    ['claude_protocol', {}],
    ['claude_start_failed', { subtype: 'error_during_execution', startup_failure_reason: 'bypass_root' }],
    [
      'claude_start_failed',
      { subtype: 'error_during_execution', errors: ['No conversation found with session ID: x'] },
    ],
  ])('has the code %s for %j', (code, result) => {
    expect(endOf({ type: 'result', is_error: true, ...result })).toMatchObject({ outcome: 'error', code })
  })

  test.each<[string, string, number | null, string]>([
    ['model_unauthorized', 'authentication_failed', 401, 'Invalid API key'],
    ['model_unauthorized', 'billing_error', null, 'Credit balance is too low'],
    ['model_unauthorized', 'unknown', 403, 'no'],
    ['model_rate_limited', 'rate_limit', 429, 'slow down'],
    ['model_rate_limited', 'unknown', 429, 'slow down'],
    ['model_overloaded', 'overloaded', 529, 'overloaded'],
    ['model_overloaded', 'server_error', 529, 'overloaded'],
    ['model_overloaded', 'server_error', 503, 'later'],
    ['model_unreachable', 'server_error', 502, 'bad gateway'],
    ['model_unreachable', 'unknown', null, 'Unable to connect to API (ConnectionRefused)'],
    [
      'model_unreachable',
      'unknown',
      null,
      'Connection refused — a firewall may be blocking it (ECONNREFUSED)',
    ],
    ['model_unreachable', 'server_error', null, "Couldn't connect through your proxy (ERR_PROXY_TUNNEL)"],
    [
      'model_unreachable',
      'unknown',
      null,
      'SSL certificate verification failed (UNABLE_TO_VERIFY_LEAF_SIGNATURE)',
    ],
    ['model_unreachable', 'authentication_failed', 403, 'Failed: 403 {"error":"policy_denied"}'],
    ['model_unreachable', 'server_error', 503, '{"error":"inference service unavailable"}'],
    ['model_error', 'server_error', 500, 'internal'],
    ['model_rejected_input', 'invalid_request', 400, 'prompt is too long'],
    [
      'model_rejected_input',
      'invalid_request',
      400,
      'messages.2.content.1.image.source.url: download timed out',
    ],
    ['model_rejected_input', 'invalid_request', 400, 'The PDF specified was not valid.'],
    ['model_rejected_input', 'invalid_request', 413, 'Request too large'],
    ['model_rejected_input', 'unknown', 400, 'messages: text content blocks must be non-empty'],
    ['model_error', 'unknown', 400, 'tools.0.custom.input_schema: JSON schema is invalid'],
    ['model_error', 'unknown', 400, 'max_tokens: 64000 > 32000'],
    ['model_error', 'model_not_found', 404, 'no such model'],
    ['model_error', 'max_output_tokens', null, 'exceeded the output token maximum'],
    ['model_error', 'from_tomorrow', null, 'what?'],
  ])('has the code %s for the failure %s, status %s: %s', (code, error, status, text) => {
    const end = endOf(synthetic(error, text), { ...failed, result: text, api_error_status: status })
    expect(end).toMatchObject({ outcome: 'error', code, message: expect.stringContaining(text) })
  })

  test('names what is known when nothing was said', () => {
    expect(endOf({ ...failed, result: '' })).toMatchObject({ message: expect.stringContaining('success') })
  })

  test('says which messages the turn answered, and what began it when none did', () => {
    expect(endOf({ ...success, user_message_uuids: ['u'] })?.facts).toMatchObject({ messageIds: ['u'] })
    const origin = { kind: 'task-notification', runId: 'r' }
    expect(endOf({ ...success, origin })?.facts).toMatchObject({ origin: 'task-notification' })
  })

  test('carries facts that AG-UI has no field for', () => {
    const end = endOf({
      ...success,
      duration_ms: 5,
      stop_reason: 'end_turn',
      total_cost_usd: 0.5,
      modelUsage: { m: {} },
    })
    expect(end?.facts).toEqual({ turns: 1, durationMs: 5, stopReason: 'end_turn' })
    expect(end?.costUsd).toBe(0.5)
  })
})

describe('a turn that Claude Code calls a success', () => {
  const completed = { ...success, terminal_reason: 'completed' }
  const blocked = {
    type: 'system',
    subtype: 'informational',
    content: 'not with me',
    prevent_continuation: true,
  }
  const nudge = { type: 'user', isSynthetic: true, message: { content: 'Stop hook feedback: no' } }
  const answer = { type: 'assistant', parent_tool_use_id: null, message: { id: 'm', content: 'so?' } }
  const subagent = { ...answer, parent_tool_use_id: 'toolu_1' }

  test.each(['end_turn', 'stop_sequence'])('is one when the model ended it with %s', (stop_reason) => {
    expect(endOf({ ...completed, stop_reason })).toMatchObject({ outcome: 'success' })
  })

  test.each(['pause_turn', 'max_tokens', 'refusal', 'tool_use', 'from_tomorrow', null])(
    'is none when the model stopped with %s',
    (stop_reason) => {
      expect(endOf({ ...completed, stop_reason })).toMatchObject({ outcome: 'error', code: 'model_error' })
    },
  )

  test.each(['background_requested', 'from_tomorrow'])('is none when it ended as %s', (terminal_reason) => {
    const end = endOf({ ...completed, stop_reason: 'tool_use', terminal_reason })
    expect(end).toMatchObject({ outcome: 'error' })
  })

  test.each(['hook_stopped', 'tool_deferred'])(
    'is cancelled when a hook ended it (%s)',
    (terminal_reason) => {
      expect(endOf({ ...completed, stop_reason: 'tool_use', terminal_reason })).toMatchObject({
        outcome: 'cancelled',
      })
    },
  )

  test('is none when the prompt was refused, and that is forgotten with the turn', () => {
    const refused = { outcome: 'error', code: 'prompt_refused', message: 'not with me' }
    expect(endOf(blocked, success)).toMatchObject(refused)
    expect(endOf(blocked, success, success)).toMatchObject({ outcome: 'success' })
    expect(endOf(blocked, { ...completed, stop_reason: 'end_turn' })).toMatchObject({ outcome: 'success' })
  })

  test('is none when the output that was asked for is not there', () => {
    const ended = { ...completed, stop_reason: 'end_turn' }
    const missing = { outcome: 'error', code: 'schema_not_satisfied' }
    expect(endWith({ expectsOutput: true }, ended)).toMatchObject(missing)
    expect(endWith({ expectsOutput: true }, { ...ended, structured_output: null })).toMatchObject(missing)
    expect(endWith({ expectsOutput: true }, success)).toMatchObject(missing)
    const empty = endWith({ expectsOutput: true }, { ...ended, structured_output: {} })
    expect(empty).toMatchObject({ outcome: 'success', result: {} })
    const stopped = { ...ended, terminal_reason: 'hook_stopped' }
    expect(endWith({ expectsOutput: true }, stopped)).toMatchObject({ outcome: 'cancelled' })
  })

  test('is cancelled when the model was told to go on and did not', () => {
    const ended = { ...completed, stop_reason: 'end_turn' }
    expect(endOf(nudge, ended)).toMatchObject({ outcome: 'cancelled' })
    expect(endOf(nudge, subagent, ended)).toMatchObject({ outcome: 'cancelled' })
    expect(endOf(nudge, answer, ended)).toMatchObject({ outcome: 'success' })
  })
})

describe('the words of a failed request', () => {
  test('are the error, not the assistant speaking', () => {
    expect(new Translator().translate(synthetic('rate_limit', 'slow down'))).toEqual([])
  })

  test('are told aside when the turn survived it', () => {
    const translator = new Translator()
    const events = [synthetic('rate_limit', 'slow'), success].flatMap((message) =>
      translator.translate(message),
    )
    expect(events).toEqual([
      { type: 'CUSTOM', name: 'agui-runner.api_error', value: { error: 'rate_limit', message: 'slow' } },
    ])
    expect(translator.end).toMatchObject({ outcome: 'success' })
  })
})

describe('usage', () => {
  const counts = { inputTokens: 10, outputTokens: 5, cacheReadInputTokens: 100, cacheCreationInputTokens: 20 }
  const result = (models: object, more: object = {}): object => ({ ...success, modelUsage: models, ...more })

  /** Each list of results is a run of its own on one thread. */
  function usages(...runs: object[][]): unknown[] {
    let memory: unknown
    return runs.map((messages) => {
      const translator = new Translator({ memory })
      for (const message of messages) translator.translate(message)
      memory = JSON.parse(JSON.stringify(translator.memory))
      return translator.end?.usage
    })
  }

  test('counts cached prompt tokens into the input', () => {
    expect(usages([result({ m: { ...counts, provider: 'firstParty', thinkingTokens: 3 } })])).toEqual([
      [
        {
          provider: 'anthropic',
          model: 'm',
          inputTokens: 130,
          outputTokens: 5,
          totalTokens: 135,
          reasoningTokens: 3,
          cachedInputTokens: 100,
          cacheWriteInputTokens: 20,
        },
      ],
    ])
  })

  const input = (tokens: number): object => ({ m: { inputTokens: tokens, outputTokens: 1 } })
  const inputs = (...runs: object[][]): unknown[] =>
    usages(...runs).map((usage) => Object(usage)[0]?.inputTokens)

  test('is what the totals grew by since the run before', () => {
    expect(inputs([result(input(10))], [result(input(25))], [result(input(25))])).toEqual([10, 15, undefined])
  })

  test('is the whole of totals that began anew', () => {
    expect(inputs([result(input(10))], [result(input(4))])).toEqual([10, 4])
  })

  test('begins anew when the conversation was cleared, however large it was', () => {
    const clear = { type: 'conversation_reset', session_id: 's' }
    expect(inputs([result(input(10))], [clear, result({})], [result(input(10))])).toEqual([10, undefined, 10])
  })

  test('goes on from the last real figures after a result without any', () => {
    expect(inputs([result(input(10))], [result({})], [result(input(12))])).toEqual([10, undefined, 2])
  })

  test('adds up when a run holds several results', () => {
    expect(inputs([result(input(10)), result(input(30))])).toEqual([30])
  })

  test('takes what Claude Code says was added, where it says so', () => {
    const since = { model_usage_since_last_result: input(7) }
    expect(inputs([result(input(1000), since)], [result(input(1007), since)])).toEqual([7, 7])
  })

  test('has one entry for each model that was used', () => {
    const models = { a: counts, b: counts }
    const [, second] = usages([result(models)], [result({ ...models, b: { ...counts, outputTokens: 9 } })])
    expect(second).toMatchObject([{ model: 'b', outputTokens: 4 }])
  })

  test('leaves out what is not known or no count', () => {
    const models = {
      m: { inputTokens: 1.5, outputTokens: 3, cacheReadInputTokens: -1, thinkingTokens: 'many' },
    }
    expect(usages([result(models)])).toEqual([[{ model: 'm', outputTokens: 3 }]])
  })

  test('of a failed run is told too', () => {
    expect(usages([{ ...failed, modelUsage: { m: counts } }])).toMatchObject([[{ inputTokens: 130 }]])
  })

  test('costs are a difference as well', () => {
    const first = new Translator()
    first.translate(result(input(1), { total_cost_usd: 0.5 }))
    const second = new Translator({ memory: first.memory })
    second.translate(result(input(2), { total_cost_usd: 0.75 }))
    expect(second.end?.costUsd).toBe(0.25)
  })

  test.each([
    ['as the session does', 'm'],
    ['otherwise', 'gateway/m'],
  ])('the context is what the last request held, where answers call the model %s', (_how, model) => {
    const answer = (id: string, usage: object, parent?: string) => ({
      type: 'assistant',
      parent_tool_use_id: parent ?? null,
      message: { id, model, content: [], usage },
    })
    const translator = new Translator()
    translator.translate({ type: 'system', subtype: 'init', session_id: 's', model: 'm' })
    translator.translate(answer('1', { input_tokens: 5000 }))
    translator.translate(answer('2', { input_tokens: 7, cache_read_input_tokens: 100, output_tokens: 3 }))
    translator.translate(answer('3', { input_tokens: 9000 }, 'toolu_of_a_subagent'))
    translator.translate(result({ m: { ...counts, contextWindow: 200_000 } }))
    expect(translator.end?.context).toEqual({ tokens: 110, window: 200_000 })
  })
})
