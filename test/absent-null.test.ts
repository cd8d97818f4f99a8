// What serializers of other languages write for what is absent, at every door that takes JSON of a client.
import type { Interrupt } from '@ag-ui/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { parseNulls } from '../src/absent-null.ts'
import { checkAnswers } from '../src/claude/host/check-answers.ts'
import { readElicited } from '../src/claude/host/elicitations.ts'
import { readAnswer } from '../src/claude/host/interrupts.ts'
import { parseSwitches } from '../src/claude/launch/switches.ts'
import { post, run, runInput } from './support/client.ts'
import { openScriptedRunner, type ScriptedRunner } from './support/scripted-runner.ts'
import { openSocket } from './support/socket.ts'

let runner: ScriptedRunner
beforeAll(async () => {
  runner = await openScriptedRunner({ script: { rules: [{ reply: 'You said: {{prompt}}' }] } })
})
afterAll(() => runner.close())

describe('parseNulls', () => {
  const Part = z.object({ text: z.string(), metadata: z.record(z.string(), z.unknown()).optional() })
  const Schema = z.object({
    content: z.union([z.string(), z.array(Part)]),
    any: z.unknown(),
    list: z.array(z.number()).optional(),
  })

  test('takes a null for nothing wherever nothing need be, in a union too, and leaves one that may be', () => {
    const { data } = parseNulls(Schema, { content: [{ text: 'a', metadata: null }], any: null, list: null })
    expect(data).toStrictEqual({ content: [{ text: 'a' }], any: null })
  })

  test.each([
    [{ content: null }],
    [{ content: [{ text: null }] }],
    [{ content: [null] }],
    [{ content: 'a', list: [null] }],
    [null],
  ])('refuses %j', (value) => {
    expect(parseNulls(Schema, value).success).toBe(false)
  })

  test('names what is wrong beside the nulls, and leaves what it was given as it is', () => {
    const value = { content: 'a', list: ['b'], any: { x: null } }
    expect(parseNulls(Schema, { ...value, metadata: null }).error?.issues).toMatchObject([
      { path: ['list', 0] },
    ])
    const nulls = { content: 'a', list: null }
    parseNulls(Schema, nulls)
    expect(nulls).toEqual({ content: 'a', list: null })
  })
})

test('a run whose every optional member is null is a run', async () => {
  const nulls = { metadata: null, name: null, encryptedValue: null }
  const source = { type: 'url', value: 'https://example.com/a.png', mimeType: null }
  const all = await run(runner.url, {
    ...{ threadId: 'all', runId: 'r', protocolVersion: null, parentRunId: null, state: null },
    messages: [
      { id: 'a', role: 'assistant', content: null, toolCalls: null, ...nulls },
      {
        id: 'u',
        role: 'user',
        ...nulls,
        content: [
          { type: 'text', text: 'Hi', id: null, metadata: null },
          { type: 'image', source, metadata: null },
        ],
      },
    ],
    tools: [{ name: 't', description: 'd', parameters: { type: 'object' }, metadata: null }],
    context: null,
    resume: null,
    forwardedProps: { resume: null, onDisconnect: null, replaces: null, delivery: null, claude: null },
  })
  expect(all.at(-1)).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'success' } })
})

test.each([
  ['/tickets', { threadId: 'all', ttlMs: null }, 200],
  ['/interrupt', { thread_id: null }, 200],
  ['/sessions/all/messages', { content: 'Hi', delivery: null }, 202],
  ['/tickets', { threadId: null }, 400],
  ['/sessions/all/messages', { content: null }, 400],
])('%s takes %j as if the nulls were not there: %i', async (path, body, status) => {
  const answer = await post(`${runner.url}${path}`, body)
  expect([answer.status, await answer.text()]).toEqual([status, expect.anything()])
})

test('so do frames', async () => {
  await run(runner.url, runInput('framed', 'Hi'))
  const socket = await openSocket(runner.url)
  socket.send({ type: 'subscribe', threadId: 'framed', after: null, protocolVersion: null })
  expect(await socket.frame(({ type }) => type === 'event')).toMatchObject({ seq: 1 })
  socket.send({ type: 'subscribe', threadId: null })
  const { error } = await socket.frame(({ type }) => type === 'error')
  expect(error).toMatchObject({ code: 'invalid_input', message: expect.stringContaining('threadId') })
  await socket.close()
})

describe('an answer', () => {
  const interrupt: Interrupt = { id: 'i', reason: 'tool_call' }
  const resolved = (payload: unknown) => ({ interruptId: 'i', status: 'resolved' as const, payload })

  test('with nulls is the yes that it says', () => {
    const payload = { approved: true, editedArgs: null, message: null, remember: null }
    const asked = { interrupt, tool: 'Bash', input: { command: 'ls' } }
    expect(readAnswer(asked, resolved(payload))).toMatchObject({ approved: true, isEdited: false })
    expect(readAnswer(asked, resolved({ approved: null }))).toMatchObject({ approved: false })
  })

  test('to a form may have nulls in fields that may stay empty', () => {
    const requestedSchema = {
      type: 'object',
      properties: { name: { type: 'string' }, age: { type: 'number' } },
      required: ['name'],
    }
    const asked = {
      interrupt,
      elicitation: { server: 's', message: 'm', mode: 'form' as const, requestedSchema },
    }
    const given = resolved({ action: 'accept', content: { name: 'Ada', age: null } })
    checkAnswers([asked], [given])
    expect(readElicited(asked, given)).toEqual({ action: 'accept', content: { name: 'Ada' } })
    expect(() => checkAnswers([asked], [resolved({ action: 'accept', content: { name: null } })])).toThrow(
      'payload.content.name',
    )
    expect(readElicited(asked, resolved({ action: 'decline', content: null }))).toEqual({ action: 'decline' })
  })
})

test('a switch of Claude Code that is null is not set', () => {
  const defaults = { env: {}, model: undefined, permissionMode: 'ask' as const, overrides: {} }
  const given = { model: null, maxTurns: 3, permissionMode: null, outputSchema: null }
  expect(parseSwitches({ claude: given }, defaults)).toMatchObject({ maxTurns: 3 })
  expect(() => parseSwitches({ claude: { maxTurns: '3' } }, defaults)).toThrow('maxTurns')
})
