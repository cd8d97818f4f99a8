import type { Interrupt } from '@ag-ui/core'
import { z } from 'zod'
import { toWholeNumber } from '../whole-number.ts'

const AskedChoice = z.object({
  question: z.string(),
  multiSelect: z.boolean().default(false),
  options: z.array(z.object({ label: z.string(), description: z.string().default('') })),
})
export type AskedChoice = z.infer<typeof AskedChoice>

const Metadata = z.object({
  'agui-runner': z.object({ tool: z.string(), input: z.record(z.string(), z.unknown()) }),
})
const Questions = z.object({ questions: z.array(AskedChoice) })

/** An interrupt as text, for clients without a form for it (docs/events.md). */
export interface AskedOnce {
  id: string
  /** A tool call to allow, a plan, questions with choices, or a form that only the console can show. */
  kind: 'call' | 'plan' | 'questions' | 'other'
  message: string
  tool: string
  input: Readonly<Record<string, unknown>>
  choices: readonly AskedChoice[]
}

export function toAsked({ id, reason, message = '', metadata }: Interrupt): AskedOnce {
  const own = Metadata.safeParse(metadata).data?.['agui-runner']
  const { tool = '', input = {} } = own ?? {}
  const common = { id, message, tool, input, choices: [] }
  if (own !== undefined && reason === 'tool_call') return { ...common, kind: 'call' }
  if (own !== undefined && reason === 'confirmation') return { ...common, kind: 'plan' }
  const asked = Questions.safeParse(input).data
  if (asked === undefined) return { ...common, kind: 'other' }
  return { ...common, kind: 'questions', choices: asked.questions }
}

/** Characters that nobody sees, or that turn the direction of the text beside them. */
const UNSEEN = /[\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g

/**
 * Returns a call as its approver must see it: unseen characters are JSON escapes, and what is cut off behind `charsMax`
 * characters is counted.
 */
export function callText({ tool, input }: Pick<AskedOnce, 'tool' | 'input'>, charsMax: number): string {
  const escaped = (unseen: string): string => `\\u${unseen.charCodeAt(0).toString(16).padStart(4, '0')}`
  const text = `${tool} ${JSON.stringify(input, null, 2).replace(UNSEEN, escaped)}`
  const left = text.length - charsMax
  return left > 0 ? `${text.slice(0, charsMax)}\n… and ${left} characters more` : text
}

/** Reads a person's answer: a number, several numbers with commas where the question allows it, or free words. */
export function chosenOf({ options, multiSelect }: AskedChoice, said: string): string | string[] {
  // The list is shown with a dot behind each number.
  const numbers = said.split(',').map((part) => toWholeNumber(part.trim().replace(/[.)]$/, '')) ?? 0)
  const labels = numbers.map((number) => options[number - 1]?.label)
  const chosen = labels.filter((label) => label !== undefined)
  if (chosen.length < labels.length) return said
  return multiSelect ? chosen : chosen.length === 1 ? (chosen[0] ?? said) : said
}
