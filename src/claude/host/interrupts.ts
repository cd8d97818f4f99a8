import { randomUUID } from 'node:crypto'
import type { Interrupt, ResumeEntry } from '@ag-ui/core'
import { z } from 'zod'
import { parseNulls } from '../../absent-null.ts'
import { isObject } from '../../json.ts'
import { expiryIn, hasExpired } from './expiry.ts'
import { problemsOf, unknownMembers } from './problems.ts'

export interface Question {
  tool: string
  input: Record<string, unknown>
  toolCallId: string
  /** The sentence that Claude Code itself would show. */
  title: string | undefined
  expiresMs: number
}

export type Answer =
  | {
      approved: true
      updatedInput: Record<string, unknown>
      isEdited: boolean
      remember: boolean
      /** What the person says to the model besides. */
      words?: string
    }
  | { approved: false; message: string }

/** Names of Claude Code's tools that ask the person and do nothing else. */
const ASK = 'AskUserQuestion'
const PLAN = 'ExitPlanMode'

const Questions = z.object({
  questions: z.array(
    z.object({
      question: z.string(),
      header: z.string().optional(),
      multiSelect: z.boolean().optional(),
      options: z.array(z.object({ label: z.string(), description: z.string().optional() })),
    }),
  ),
})

const ApprovalPayload = z.object({
  approved: z.boolean(),
  /** Full replacement of the call's arguments. */
  editedArgs: z.record(z.string(), z.unknown()).optional(),
  /** The person's reason for a refusal, or what is said with an approval. The model reads both. */
  message: z.string().optional(),
  /** Whether similar calls need no approval for the rest of this session. */
  remember: z.boolean().optional(),
})

const Approval = z.union([
  z.boolean().transform((approved): z.infer<typeof ApprovalPayload> => ({ approved })),
  ApprovalPayload,
])

const text = z.union([z.string(), z.array(z.string()).transform((labels) => labels.join(', '))])
const Answers = z.object({ answers: z.record(z.string(), text) })

/** Returns the interrupt that asks for a tool call (agui-1.0-producer.md A8.55). Ids are never used twice. */
export function toInterrupt(question: Question): Interrupt {
  const { tool, input, toolCallId, title, expiresMs } = question
  const asked = tool === ASK ? Questions.safeParse(input) : undefined
  const common = {
    id: randomUUID(),
    toolCallId,
    ...expiryIn(expiresMs),
    metadata: { 'agui-runner': { tool, input } },
  }
  if (asked?.success === true) {
    const message = asked.data.questions.map(({ question: words }) => words).join('\n')
    return { ...common, reason: 'input_required', message, responseSchema: answersSchema(asked.data) }
  }
  if (tool === PLAN) {
    const plan = typeof input['plan'] === 'string' ? input['plan'] : ''
    return {
      ...common,
      reason: 'confirmation',
      message: `Go ahead with this plan?\n\n${plan}`,
      responseSchema: APPROVAL_SCHEMA,
    }
  }
  return {
    ...common,
    reason: 'tool_call',
    message: title ?? `${tool} wants to run.`,
    responseSchema: APPROVAL_SCHEMA,
  }
}

const APPROVAL_SCHEMA = {
  type: 'object',
  properties: {
    approved: { type: 'boolean', description: 'Whether the call may run.' },
    editedArgs: {
      type: 'object',
      minProperties: 1,
      description: 'Arguments to run it with instead; all of them. Without it the call runs as it is.',
    },
    message: {
      type: 'string',
      description: 'Why not, what to do instead, or what else to mind; the model reads it.',
    },
    remember: { type: 'boolean', description: 'Do not ask again for the like of it in this session.' },
  },
  required: ['approved'],
  additionalProperties: false,
}

function answersSchema({ questions }: z.infer<typeof Questions>): Record<string, unknown> {
  const fields = questions.map(({ question, header, multiSelect, options }) => {
    // Free text is an answer too, as in Claude Code's own "Other".
    const one = { anyOf: [{ enum: options.map(({ label }) => label) }, { type: 'string' }] }
    const described = {
      title: header ?? question,
      description: options.map(({ label, description }) => `${label}: ${description ?? ''}`).join('\n'),
    }
    return [question, { ...described, ...(multiSelect === true ? { type: 'array', items: one } : one) }]
  })
  return {
    type: 'object',
    properties: {
      answers: {
        type: 'object',
        properties: Object.fromEntries(fields),
        required: questions.map(({ question }) => question),
        additionalProperties: false,
      },
    },
    required: ['answers'],
    additionalProperties: false,
  }
}

/** Returns the answer in a resume entry. An unclear or late answer counts as a refusal. */
export function readAnswer(
  asked: { interrupt: Interrupt; tool: string; input: Record<string, unknown> },
  entry: ResumeEntry,
): Answer {
  const { interrupt, tool, input } = asked
  if (entry.status === 'cancelled') return refusal('The person dismissed the question without an answer.')
  if (hasExpired(interrupt)) {
    return refusal('The answer came too late: the question had expired, and counts as refused.')
  }
  const approval = parseNulls(Approval, entry.payload)
  if (tool === ASK) {
    const answers = parseNulls(Answers, entry.payload)
    if (!answers.success || !isAnswered(input, answers.data.answers)) {
      const { approved, message } = approval.data ?? {}
      return refusal((approved === false && message) || 'The person gave no answer that fits the question.')
    }
    return { approved: true, updatedInput: { ...input, ...answers.data }, isEdited: false, remember: false }
  }
  if (!approval.success) return refusal('The person’s answer was neither an approval nor a refusal.')
  const { approved, editedArgs, message, remember = false } = approval.data
  const words = message === undefined || message.trim() === '' ? undefined : message
  if (!approved) return refusal(words ?? 'The person refused this call.')
  // Claude Code takes `{}` for no change (findings/an-empty-edit-is-no-edit.sh): what the person struck out would run.
  if (editedArgs !== undefined && isEmpty(editedArgs) && !isEmpty(input))
    return refusal(words === undefined ? STRUCK_OUT : `${STRUCK_OUT}\n${words}`)
  return {
    approved,
    updatedInput: editedArgs ?? input,
    isEdited: editedArgs !== undefined,
    remember,
    ...(words === undefined ? {} : { words }),
  }
}

/**
 * Returns what of a clear answer would be lost: members that it does not have, and answers to what was not asked. An
 * unclear one is no problem, since it counts as a refusal, which the stream says.
 */
export function answerProblems(
  { tool, input }: Pick<Question, 'tool' | 'input'>,
  { payload }: ResumeEntry,
): string[] {
  if (tool !== ASK || !isObject(payload) || (payload['answers'] ?? null) === null)
    return parseNulls(Approval, payload).success ? unknownMembers(ApprovalPayload, payload) : []
  const answers = parseNulls(Answers, payload)
  if (!answers.success) return problemsOf(answers.error, 'payload')
  const unknown = unknownMembers(Answers, payload)
  const asked = Questions.safeParse(input).data?.questions.map(({ question }) => question)
  if (asked === undefined) return unknown
  const others = Object.keys(answers.data.answers).filter((question) => !asked.includes(question))
  const known = asked.map((question) => JSON.stringify(question)).join(', ')
  return [
    ...unknown,
    ...others.map((question) => `payload.answers: ${JSON.stringify(question)} was not asked, but ${known}`),
  ]
}

/** Whether one of the questions has an answer. Claude Code drops what answers another, and an empty text. */
function isAnswered(input: Record<string, unknown>, answers: Record<string, string>): boolean {
  const asked = Questions.safeParse(input)
  if (!asked.success) return true
  return asked.data.questions.some(({ question }) => (answers[question] ?? '') !== '')
}

const STRUCK_OUT =
  'The person approved this call with none of its arguments (editedArgs is {}), and so it did not run. Without editedArgs it runs as it is.'

function isEmpty(args: Record<string, unknown>): boolean {
  return Object.keys(args).length === 0
}

function refusal(message: string): Answer {
  return { approved: false, message }
}
