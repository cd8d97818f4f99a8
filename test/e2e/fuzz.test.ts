import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { ERRORS } from '../../src/errors.ts'
import {
  closeFuzz,
  type FuzzAnswer,
  type FuzzOperation,
  type FuzzRequest,
  RAW_REQUESTS,
  requestsFor,
  send,
  sendRaw,
} from '../support/fuzz.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'
import { VOLUME } from '../support/volume.ts'

interface Operation extends FuzzOperation {
  operationId: string
  responses: Record<string, { content?: Record<string, { schema: Record<string, unknown> }> }>
}

const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_120)
const ANSWER_MS = 10_000
const AT_ONCE = 16

const ErrorBody = z.strictObject({
  error: z.strictObject({
    code: z.enum(Object.keys(ERRORS) as [string, ...string[]]),
    message: z.string().min(1),
    details: z.unknown().optional(),
  }),
})

let bench: Bench
let runner: RunnerProcess
let operations: Operation[]
let schemas: Record<string, unknown>
let before: string[]

beforeAll(async () => {
  bench = await openBench()
  // What gets through starts a Claude Code that says no more than its version: refusals are what is looked at here.
  const claude = join(bench.directory, 'claude')
  writeFileSync(claude, `#!/bin/sh\n[ "$1" = --version ] && echo '2.1.332 (Claude Code)'\n`, { mode: 0o755 })
  runner = await bench.start({
    CLAUDE_CLI_PATH: claude,
    REQUEST_BODY_BYTES_MAX: '4096',
    FILE_BYTES_MAX: '4096',
  })
  const document = (await (await fetch(`${runner.url}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, Operation>>
    components: { schemas: Record<string, unknown> }
  }
  schemas = document.components.schemas
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      ...operation,
      method: method.toUpperCase(),
      path,
    })),
  )
  before = readdirSync(bench.directory).sort()
})
afterAll(async () => {
  closeFuzz()
  await bench.close()
})

/** What is wrong with an answer; undefined when nothing is. */
function problemOf(asked: FuzzRequest, answer: FuzzAnswer, operation: Operation): string | undefined {
  const { status, type, body } = answer
  if (status >= 500 && status !== 502) return `status ${status}`
  const isDocumented = asked.method === operation.method && samePath(asked.path, operation.path)
  const described = operation.responses[status]
  // Node's parser and the router refuse before there is a route.
  if (isDocumented && described === undefined && ![404, 413, 417, 431].includes(status))
    return `status ${status} is not in the document`
  if (status >= 400) {
    if (asked.method === 'HEAD') return undefined
    if (!type.startsWith('application/json')) return `an error of type "${type}"`
    const parsed = ErrorBody.safeParse(parseJson(body))
    return parsed.success ? undefined : `an error of another shape: ${body.slice(0, 200)}`
  }
  const schema = described?.content?.['application/json']?.schema
  if (!isDocumented || schema === undefined || !type.startsWith('application/json')) return undefined
  const expected = z.fromJSONSchema(resolve(schema)).safeParse(parseJson(body))
  return expected.success ? undefined : `not as documented: ${expected.error.message.slice(0, 300)}`
}

function samePath(path: string, pattern: string): boolean {
  const shape = pattern.replace(/\{path\}/, '.+').replace(/\{\w+\}/g, '[^/]+')
  return new RegExp(`^${shape}$`).test(path.split('?')[0] ?? '')
}

function resolve(schema: Record<string, unknown>): Record<string, unknown> {
  const name = typeof schema['$ref'] === 'string' ? schema['$ref'].split('/').at(-1) : undefined
  return name === undefined ? schema : (schemas[name] as Record<string, unknown>)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

test('whatever is asked of a documented route is answered in time, as documented, and never with a 500', async () => {
  const all = operations.flatMap((operation, index) =>
    requestsFor(resolveBody(operation), SEED + index).map((asked) => ({ asked, operation })),
  )
  expect(all.length).toBeGreaterThan(2000)
  // Every third of them, and all with AGUI_VOLUME=5.
  const queue = all.filter((_, index) => VOLUME >= 5 || index % 3 === SEED % 3)
  const problems: string[] = []
  const work = async (): Promise<void> => {
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      const { method, path, headers, body } = next.asked
      const what = `${method} ${path.slice(0, 80)} ${JSON.stringify(headers ?? {}).slice(0, 80)} ${String(body ?? '').slice(0, 80)}`
      try {
        const problem = problemOf(next.asked, await send(runner.url, next.asked, ANSWER_MS), next.operation)
        if (problem !== undefined) problems.push(`${what}: ${problem}`)
      } catch (error) {
        problems.push(`${what}: ${String(error)}`)
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  expect([...new Set(problems)]).toEqual([])
}, 60_000)

function resolveBody(operation: Operation): Operation {
  const schema = operation.requestBody?.content['application/json']?.schema
  if (schema === undefined) return operation
  return { ...operation, requestBody: { content: { 'application/json': { schema: resolve(schema) } } } }
}

test.each(RAW_REQUESTS.map((text) => [text.slice(0, 60), text]))(
  'bytes that are no proper request get an error as JSON or nothing: %j',
  async (_title, text) => {
    const said = await sendRaw(runner.url, text, ANSWER_MS)
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(said)?.[1] ?? 0)
    expect(status).toBeLessThan(500)
    if (status < 400) return
    expect(said).toMatch(/content-type: application\/json/i)
    expect(ErrorBody.safeParse(parseJson(said.slice(said.indexOf('\r\n\r\n') + 4)))).toMatchObject({
      success: true,
    })
  },
)

test('afterwards the runner serves, has logged no failure of its own, and nothing lies outside the workspace', async () => {
  expect((await fetch(`${runner.url}/health`)).status).toBe(200)
  expect(runner.stderr()).not.toContain('"request failed"')
  expect(readdirSync(bench.directory).sort()).toEqual(before)
})
