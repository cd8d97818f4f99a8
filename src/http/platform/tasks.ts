import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { TaskOutput } from '../../agent/agent.ts'
import { RunnerError } from '../../errors.ts'
import type { Redactor } from '../../redaction/redactor.ts'
import { about, ok } from '../document/about.ts'
import { parse } from '../doors/parse.ts'
import { leaving } from '../stream/leaving.ts'
import type { AgentFacts } from './agent-facts.ts'
import { bodyFrom } from './file-reply.ts'

export interface TaskRoutesOptions {
  facts: AgentFacts
  /** Removes secrets from outputs and MCP servers, as from everything that a tool returns. */
  redactor: Redactor
}

const Params = z.object({ taskId: z.string().regex(/^[\w.:-]{1,128}$/, 'is no id of a task') })
const Thread = z
  .object({ thread_id: z.string().optional(), threadId: z.string().optional() })
  .nullish()
  .transform((given) => given?.thread_id ?? given?.threadId)

/** Upper bound of an output that is sent, in bytes: the platform's own limit. */
const OUTPUT_BYTES_MAX = 10 * 1024 * 1024

const LIST = about(() => {
  const task = z.looseObject({ task_id: z.string(), thread_id: z.string(), status: z.string() })
  return {
    tag: 'platform',
    summary: 'Commands and subagents that run beside a turn, or have.',
    query: Thread,
    answers: ok('The tasks.', z.object({ tasks: z.array(task), total: z.number() })),
  }
})

const STOP = about(() => ({
  tag: 'platform',
  summary: 'Stops one task.',
  params: Params,
  body: Thread,
  example: { thread_id: 'first' },
  answers: ok('It is asked to, or has ended already.', z.object({ message: z.string() })),
  errors: ['not_found'],
}))

const OUTPUT = about(() => ({
  tag: 'platform',
  summary: 'What one task has said, a line each.',
  params: Params,
  query: Thread,
  answers: ok('Its lines.', z.object({ task_id: z.string(), output: z.array(z.unknown()) })),
  errors: ['not_found', 'output_not_allowed', 'too_large'],
}))

const MCP_STATUS = about(() => {
  const server = z.looseObject({ name: z.string(), status: z.string() })
  return {
    tag: 'platform',
    summary: 'The MCP servers of the living process; none is started for it.',
    query: Thread,
    answers: ok('The servers.', z.object({ servers: z.array(server), totalCount: z.number() })),
  }
})

/** Registers the routes of the tasks that run beside the turns, and of the MCP servers. */
export function taskRoutes({ facts, redactor }: TaskRoutesOptions) {
  return async (app: FastifyInstance): Promise<void> => {
    for (const base of ['/tasks', '/agui/tasks']) {
      app.get(base, LIST, async (request, reply) => {
        const tasks = await facts.tasks(parse(Thread, request.query, 'the query'), leaving(reply))
        return { tasks, total: tasks.length }
      })

      app.post(`${base}/:taskId/stop`, STOP, async (request, reply) => {
        const { taskId } = parse(Params, request.params, 'the path')
        const threadId = parse(Thread, request.body, 'the body')
        const ended = await facts.stopTask(taskId, threadId, leaving(reply))
        return { message: ended === undefined ? 'stop signal sent' : `Task already ${ended}` }
      })

      app.get(`${base}/:taskId/output`, OUTPUT, async (request, reply) => {
        const { taskId } = parse(Params, request.params, 'the path')
        const file = await facts.taskOutput(taskId, parse(Thread, request.query, 'the query'), leaving(reply))
        if (file.size > OUTPUT_BYTES_MAX) {
          file.stream.destroy()
          throw new RunnerError('too_large', `The output has more than ${OUTPUT_BYTES_MAX} bytes.`)
        }
        return reply.type('application/json').send(bodyFrom(file.stream, toBody(taskId, file, redactor)))
      })
    }

    app.get('/mcp/status', MCP_STATUS, async (request, reply) => {
      const servers = await facts.mcpStatus(parse(Thread, request.query, 'the query'), leaving(reply))
      return { servers: redactor.redactValue(servers), totalCount: servers.length }
    })
  }
}

/** Yields `{"task_id","output":[…]}` with one item a line of the file: JSON as it is, any other text as `{"raw"}`. */
async function* toBody(taskId: string, { stream }: TaskOutput, redactor: Redactor): AsyncGenerator<string> {
  let text = `{"task_id":${JSON.stringify(taskId)},"output":[`
  // Redacted before the text is cut into lines, because a private key spans several.
  for await (const line of linesOf(redactor.redactPieces(stream.setEncoding('utf8')))) {
    const trimmed = line.trim()
    if (trimmed === '') continue
    yield `${text}${toJson(trimmed, redactor)}`
    text = ','
  }
  yield `${text === ',' ? '' : text}]}`
}

/** Splits at `\n` only. `node:readline` also ends a line at U+2028, which JSON may contain unescaped. */
async function* linesOf(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  let open = ''
  for await (const piece of pieces) {
    const [rest = '', ...lines] = piece.split('\n')
    open += rest
    for (const line of lines) {
      yield open
      open = line
    }
  }
  yield open
}

/** Returns a line as JSON. Redacts its parsed values too, because JSON escapes can hide a secret in the text. */
function toJson(line: string, redactor: Redactor): string {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return JSON.stringify({ raw: line })
  }
  const redacted = redactor.redactValue(value)
  return redacted === value ? line : JSON.stringify(redacted)
}
