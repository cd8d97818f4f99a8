import { randomUUID } from 'node:crypto'
import type { Interrupt, ResumeEntry } from '@ag-ui/core'
import type { ElicitationRequest, ElicitationResult, OnElicitation } from '@anthropic-ai/claude-agent-sdk'
import { z } from 'zod'
import { parseNulls } from '../../absent-null.ts'
import { isObject } from '../../json.ts'
import { expiryIn, hasExpired } from './expiry.ts'
import { problemsOf, unknownMembers } from './problems.ts'

/** A question of an MCP server to the person (MCP *elicitation*). Stored data is checked by this schema. */
export const Elicitation = z.object({
  server: z.string(),
  message: z.string(),
  mode: z.enum(['form', 'url']),
  /** JSON Schema of the requested content; `form` only. */
  requestedSchema: z.record(z.string(), z.unknown()).optional(),
  /** Address for the person to visit; `url` only. */
  url: z.string().optional(),
  elicitationId: z.string().optional(),
})
export type Elicitation = z.infer<typeof Elicitation>

export const Elicited = z.object({
  interrupt: z.custom<Interrupt>((value) => isObject(value) && typeof value['id'] === 'string'),
  elicitation: Elicitation,
})
export type Elicited = z.infer<typeof Elicited>

/** Payload of the resume entry: MCP's own answer (`ElicitResult`). */
const Payload = z.object({
  action: z.enum(['accept', 'decline', 'cancel']),
  content: z.record(z.string(), z.unknown()).optional(),
})

const Content = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]))

export interface ElicitationsOptions {
  /** Whether every question is declined, because nobody can answer. */
  isDeclining: boolean
  /** Time after which an answer counts as declined, in milliseconds; 0 for never. */
  expiresMs: number
  /** Called when a question has come, was answered or has become void. */
  onChange(): void
  onDeclined(elicitation: Elicitation): void
}

/** The questions of MCP servers to the person. Each waits here until a later run brings the answer. */
export class Elicitations {
  readonly #options: ElicitationsOptions
  readonly #waiting = new Map<string, Elicited & { settle(result: ElicitationResult): void }>()
  /** Answers given after a restart, for the same questions when the model calls the tool again. */
  readonly #granted: { elicitation: Elicitation; result: ElicitationResult }[] = []

  constructor(options: ElicitationsOptions) {
    this.#options = options
  }

  get waiting(): Elicited[] {
    return [...this.#waiting.values()].map(({ interrupt, elicitation }) => ({ interrupt, elicitation }))
  }

  /** Callback for the SDK, which without it would decline in the person's name. */
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

  /** Gives the answers to the servers. Answers to no pending question are ignored. */
  answer(entries: readonly ResumeEntry[]): { asked: Elicited; answer: ElicitationResult }[] {
    return entries.flatMap((entry) => {
      const waiting = this.#waiting.get(entry.interruptId)
      if (waiting === undefined) return []
      const answer = readElicited(waiting, entry)
      waiting.settle(answer)
      return [{ asked: waiting, answer }]
    })
  }

  /** Answers the next equal question with this result, once. */
  grant(elicitation: Elicitation, result: ElicitationResult): void {
    this.#granted.push({ elicitation, result })
  }
}

/** Returns the answer in a resume entry. An unclear answer counts as `cancel`, a late one as `decline`. */
export function readElicited({ interrupt }: Elicited, entry: ResumeEntry): ElicitationResult {
  if (entry.status === 'cancelled') return { action: 'cancel' }
  if (hasExpired(interrupt)) return { action: 'decline' }
  const { action = 'cancel', content } = parseNulls(Payload, entry.payload).data ?? {}
  if (action !== 'accept') return { action }
  const given = parseNulls(Content, content ?? {})
  return given.success ? { action, content: given.data } : { action: 'cancel' }
}

/** Returns what is wrong with the answer in a resume entry. */
export function elicitedProblems({ elicitation }: Elicited, entry: ResumeEntry): string[] {
  const payload = parseNulls(Payload, entry.payload)
  if (!payload.success) return problemsOf(payload.error, 'payload')
  const unknown = unknownMembers(Payload, entry.payload)
  const { action, content = {} } = payload.data
  if (action !== 'accept' || elicitation.mode === 'url') return unknown
  const values = parseNulls(Content, content)
  const given = values.success ? toZod(elicitation.requestedSchema).safeParse(values.data) : values
  return given.success ? unknown : [...unknown, ...problemsOf(given.error, 'payload.content')]
}

/** Converts the requested schema. Accepts everything when the schema cannot be read: the server then checks. */
function toZod(schema: Record<string, unknown> = {}): z.ZodType {
  const { properties } = schema
  // A default is a form's first value and not the person's answer.
  const asked = Object.entries(isObject(properties) ? properties : {}).map(([name, property]) => {
    if (!isObject(property)) return [name, property]
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

/** Compares all but the ids, which are new for each question. */
function isSame(one: Elicitation, other: Elicitation): boolean {
  const asked = ({ elicitationId: _, ...rest }: Elicitation): string => JSON.stringify(rest)
  return asked(one) === asked(other)
}

function toInterrupt(elicitation: Elicitation, expiresMs: number): Interrupt {
  const { server, message, url, requestedSchema } = elicitation
  return {
    id: randomUUID(),
    reason: 'input_required',
    message: `${server}: ${message}${url === undefined ? '' : `\n${url}`}`,
    ...expiryIn(expiresMs),
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
      additionalProperties: false,
    },
    metadata: { 'agui-runner': { elicitation } },
  }
}
