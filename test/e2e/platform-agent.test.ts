import { readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { post, run, runInput } from '../support/client.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'

const SCRIPT = {
  rules: [
    {
      when: { prompt: 'delegate', round: 0 },
      reply: [
        {
          tool: 'Agent',
          input: { description: 'look', prompt: 'sub work', subagent_type: 'general-purpose' },
        },
      ],
    },
    { reply: 'done' },
  ],
}

let bench: Bench
let runner: RunnerProcess

beforeAll(async () => {
  bench = await openBench({ script: SCRIPT })
  runner = await bench.start()
})
afterAll(() => bench.close())

interface Answer {
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: a test reads the fields of whatever answer it expects
  body: any
}

const read = async (response: Response): Promise<Answer> => ({
  status: response.status,
  body: await response.json(),
})
const get = async (path: string): Promise<Answer> => await read(await fetch(`${runner.url}${path}`))
const send = async (path: string, body: unknown): Promise<Answer> =>
  await read(await post(`${runner.url}${path}`, body))

/** The folder in which Claude Code has this session's outputs. */
function outputsOf(claudeSessionId: string): string {
  const temporary = join(bench.directory, `claude-${process.getuid?.()}`)
  const project = readdirSync(temporary).find((name) =>
    readdirSync(join(temporary, name)).includes(claudeSessionId),
  )
  return join(temporary, project ?? '', claudeSessionId, 'tasks')
}

describe.each(['/tasks', '/agui/tasks'])('%s', (base) => {
  test("lists a subagent as a task, and gives this session's own transcript as its output", async () => {
    const thread = `delegating${base.replaceAll('/', '-')}`
    await run(runner.url, runInput(thread, 'delegate'))
    const { body } = await get(`${base}?thread_id=${thread}`)
    const [task] = body.tasks
    expect(body).toEqual({
      tasks: [
        {
          task_id: expect.any(String),
          thread_id: thread,
          status: 'completed',
          started_at: expect.any(String),
          description: 'look',
          task_type: 'local_agent',
          summary: 'done',
        },
      ],
      total: 1,
    })
    expect((await get(base)).body.tasks).toContainEqual(task)
    const output = await get(`${base}/${task.task_id}/output`)
    expect(output).toMatchObject({ status: 200, body: { task_id: task.task_id } })
    expect(output.body.output[0]).toMatchObject({ type: 'user', message: { content: 'sub work' } })
    expect(await send(`${base}/${task.task_id}/stop`, { thread_id: thread })).toEqual({
      status: 200,
      body: { message: 'Task already completed' },
    })
  })

  test('refuses what is no id, and knows no other', async () => {
    expect(await get(`${base}/..%2f..%2fetc%2fpasswd/output`)).toMatchObject({ status: 400 })
    expect(await send(`${base}/%00/stop`, {})).toMatchObject({ status: 400 })
    expect(await get(`${base}/none/output`)).toMatchObject({
      status: 404,
      body: { error: { code: 'not_found' } },
    })
    expect(await send(`${base}/none/stop`, {})).toMatchObject({ status: 404 })
  })
})

test('a file that somebody put in the place of an output is not given out', async () => {
  await run(runner.url, runInput('swapped', 'delegate'))
  const { body } = await get('/tasks?thread_id=swapped')
  const id = body.tasks[0].task_id
  const sessions = (await get('/sessions/swapped')).body
  const outputs = outputsOf(sessions.claudeSessionId)
  const secret = join(bench.directory, 'ambient_github_token')
  writeFileSync(secret, 'ghp_secret')
  writeFileSync(join(outputs, 'other.output'), 'unknown to the log')
  rmSync(join(outputs, `${id}.output`))
  symlinkSync(secret, join(outputs, `${id}.output`))
  expect(await get(`/tasks/${id}/output`)).toMatchObject({
    status: 403,
    body: { error: { code: 'output_not_allowed' } },
  })
  // A name that only looks like a task's (peers.md 50), and one that lies beside it.
  expect(await get('/tasks/ambient_github_token/output')).toMatchObject({ status: 404 })
  expect(await get('/tasks/other/output')).toMatchObject({ status: 404 })
})

test('an output above 10 MiB is refused', async () => {
  await run(runner.url, runInput('large', 'delegate'))
  const { body } = await get('/tasks?thread_id=large')
  const { claudeSessionId } = (await get('/sessions/large')).body
  const outputs = outputsOf(claudeSessionId)
  rmSync(join(outputs, `${body.tasks[0].task_id}.output`))
  writeFileSync(join(outputs, `${body.tasks[0].task_id}.output`), 'x'.repeat(10 * 1024 * 1024 + 1))
  expect(await get(`/tasks/${body.tasks[0].task_id}/output`)).toMatchObject({
    status: 413,
    body: { error: { code: 'too_large' } },
  })
})

test('MCP status needs no process and starts none', async () => {
  const before = bench.gateway.requests.length
  expect(await get('/mcp/status')).toEqual({ status: 200, body: { servers: [], totalCount: 0 } })
  expect(bench.gateway.requests.length).toBe(before)
})

describe.each(['/feedback', '/agui/feedback'])('%s', (path) => {
  const feedback = {
    type: 'META',
    metaType: 'thumbs_up',
    payload: { userId: 'u1', comment: 'private words', messageId: 'm1' },
    threadId: 't1',
    ts: 1,
  }

  test('is logged without its words and handed back for the platform to keep', async () => {
    expect(await send(path, feedback)).toEqual({
      status: 200,
      body: {
        type: 'RAW',
        event: {
          name: 'ambient:feedback',
          metaType: 'thumbs_up',
          payload: feedback.payload,
          recorded: false,
        },
      },
    })
    expect(await runner.line((line) => line['msg'] === 'feedback')).toMatchObject({
      metaType: 'thumbs_up',
      userId: 'u1',
      messageId: 'm1',
      threadId: 't1',
    })
    expect(runner.stderr()).not.toContain('private words')
  })

  test.each([
    { ...feedback, type: 'RAW' },
    { ...feedback, metaType: 'thumbs_sideways' },
    { ...feedback, payload: 'text' },
    [],
    'no json',
  ])('refuses %j', async (body) => {
    expect(await send(path, body)).toMatchObject({ status: 400, body: { error: { code: 'invalid_input' } } })
  })
})
