import { randomUUID } from 'node:crypto'
import type { Interrupt, ResumeEntry } from '@ag-ui/core'
import type { ElicitationRequest, ElicitationResult, OnElicitation } from '@anthropic-ai/claude-agent-sdk'
import { z } from 'zod'
import { parseNulls } from '../../absent-null.ts'
import { RunnerError } from '../../errors.ts'
import { isRecord } from '../translate/messages.ts'

/** What an MCP server asks of the person, beside its tools. Door of stored data. */
export const Elicitation = z.object({
  server: z.string(),
  message: z.string(),
  mode: z.enum(['form', 'url']),
  /** JSON Schema of what is to be given; `form` only. */
  requestedSchema: z.record(z.string(), z.unknown()).optional(),
  /** Where the person is to go; `url` only. */
  url: z.string().optional(),
  elicitationId: z.string().optional(),
})
export type Elicitation = z.infer<typeof Elicitation>

export const Elicited = z.object({
  interrupt: z.custom<Interrupt>((value) => isRecord(value) && typeof value['id'] === 'string'),
  elicitation: Elicitation,
})
export type Elicited = z.infer<typeof Elicited>

/** MCP's own answer (`ElicitResult`) is the payload of the resume entry. */
const Payload = z.object({
  action: z.enum(['accept', 'decline', 'cancel']),
  content: z.record(z.string(), z.unknown()).optional(),
})

const Content = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]))

export interface ElicitationsOptions {
  /** Nobody is there to answer: every one is declined. */
  isDeclining: boolean
  /** When set, an answer that comes later than so many milliseconds counts as declined; 0 for never. */
  expiresMs: number
  /** A question has come, or has become void. */
  onChange(): void
  onDeclined(elicitation: Elicitation): void
}

/** The questions that MCP servers have for the person: each waits here until the answer comes with a later run. */
export class Elicitations {
  readonly #options: ElicitationsOptions
  readonly #waiting = new Map<string, Elicited & { settle(result: ElicitationResult): void }>()
  /** Answered after a restart, and asked again when the model calls the tool again. */
  readonly #granted: { elicitation: Elicitation; result: ElicitationResult }[] = []

  constructor(options: ElicitationsOptions) {
    this.#options = options
  }

  get waiting(): Elicited[] {
    return [...this.#waiting.values()].map(({ interrupt, elicitation }) => ({ interrupt, elicitation }))
  }

  /** For the SDK, which would decline in the person's name without one. */
  readonly onElicitation: OnElicitation = (request, { signal }) => {
    const elicitation = toElicitation(request)
    const at = this.#granted.findIndex((granted) => isSame(granted.elicitation, elicitation))
    const [granted] = at < 0 ? [] : this.#granted.splice(at, 1)
    if (granted !== undefined) return Promise.resolve(granted.result)
    if (this.#options.isDeclining) {
      this.#options.onDeclined(elicitation)
      return Promise.resolve({ action: 'decline' })
    }
    const interrupt = toInterrupt(elicitation, this.#options.expiresMs)
    return new Promise((resolve) => {
      const settle = (result: ElicitationResult): void => {
        this.#waiting.delete(interrupt.id)
        resolve(result)
        this.#options.onChange()
      }
      this.#waiting.set(interrupt.id, { interrupt, elicitation, settle })
      signal.addEventListener('abort', () => settle({ action: 'cancel' }), { once: true })
      this.#options.onChange()
    })
  }

  /** Hands the answers over; what answers nothing open is left out. */
  answer(entries: readonly ResumeEntry[]): void {
    for (const entry of entries) {
      const waiting = this.#waiting.get(entry.interruptId)
      waiting?.settle(readElicited(waiting, entry))
    }
  }

  /** The next equal question is answered so, once. */
  grant(elicitation: Elicitation, result: ElicitationResult): void {
    this.#granted.push({ elicitation, result })
  }
}

/** What a resume entry says of an elicitation. Everything that is no clear answer counts as `cancel`. */
export function readElicited({ interrupt }: Elicited, entry: ResumeEntry): ElicitationResult {
  if (entry.status === 'cancelled') return { action: 'cancel' }
  if (interrupt.expiresAt !== undefined && Date.parse(interrupt.expiresAt) < Date.now())
    return { action: 'decline' }
  const { action = 'cancel', content } = parseNulls(Payload, entry.payload).data ?? {}
  if (action !== 'accept') return { action }
  const given = parseNulls(Content, content ?? {})
  return given.success ? { action, content: given.data } : { action: 'cancel' }
}

/**
 * Looks at the answers while they can still be refused: the questions then stay open.
 *
 * @throws {RunnerError} `invalid_input`, naming what does not fit the requested schema.
 */
export function checkAnswers(asked: readonly object[], entries: readonly ResumeEntry[]): void {
  for (const question of asked) {
    const elicited = Elicited.safeParse(question).data
    const entry = entries.find(({ interruptId }) => interruptId === elicited?.interrupt.id)
    if (elicited !== undefined && entry !== undefined) checkAnswer(elicited, entry)
  }
}

function checkAnswer({ elicitation, interrupt }: Elicited, entry: ResumeEntry): void {
  if (entry.status === 'cancelled') return
  const refuse = (problems: string[]): RunnerError =>
    new RunnerError(
      'invalid_input',
      `The answer to interrupt ${interrupt.id} does not fit what "${elicitation.server}" asked for: ${problems.join('; ')}.`,
      { details: problems },
    )
  const payload = parseNulls(Payload, entry.payload)
  if (!payload.success) throw refuse(problemsOf(payload.error, 'payload'))
  const { action, content = {} } = payload.data
  if (action !== 'accept' || elicitation.mode === 'url') return
  const values = parseNulls(Content, content)
  const given = values.success ? toZod(elicitation.requestedSchema).safeParse(values.data) : values
  if (!given.success) throw refuse(problemsOf(given.error, 'payload.content'))
}

function problemsOf({ issues }: z.ZodError, place: string): string[] {
  return issues.map(({ path, message }) => `${[place, ...path.map(String)].join('.')}: ${message}`)
}

/** A schema that cannot be read here is the server's to hold the answer to. */
function toZod(schema: Record<string, unknown> = {}): z.ZodType {
  const { properties } = schema
  // A default is what a form begins with, and not an answer of the person's.
  const asked = Object.entries(isRecord(properties) ? properties : {}).map(([name, property]) => {
    if (!isRecord(property)) return [name, property]
    const { default: _begin, ...rest } = property
    return [name, rest]
  })
  try {
    return z.fromJSONSchema({ ...schema, properties: Object.fromEntries(asked) })
  } catch {
    return z.unknown()
  }
}

function toElicitation(request: ElicitationRequest): Elicitation {
  const { serverName: server, message, mode = 'form', requestedSchema, url, elicitationId } = request
  return {
    server,
    message,
    mode,
    ...(requestedSchema === undefined ? {} : { requestedSchema }),
    ...(url === undefined ? {} : { url }),
    ...(elicitationId === undefined ? {} : { elicitationId }),
  }
}

/** An id is made anew with each question. */
function isSame(one: Elicitation, other: Elicitation): boolean {
  const asked = ({ elicitationId: _, ...rest }: Elicitation): string => JSON.stringify(rest)
  return asked(one) === asked(other)
}

function toInterrupt(elicitation: Elicitation, expiresMs: number): Interrupt {
  const { server, message, url, requestedSchema } = elicitation
  const expiry = expiresMs > 0 ? { expiresAt: new Date(Date.now() + expiresMs).toISOString() } : {}
  return {
    id: randomUUID(),
    reason: 'input_required',
    message: `${server}: ${message}${url === undefined ? '' : `\n${url}`}`,
    ...expiry,
    responseSchema: {
      type: 'object',
      properties: {
        action: {
          enum: ['accept', 'decline', 'cancel'],
          description: 'Given, refused, or dismissed without an answer.',
        },
        ...(requestedSchema === undefined ? {} : { content: requestedSchema }),
      },
      required: ['action'],
    },
    metadata: { 'agui-runner': { elicitation } },
  }
}
