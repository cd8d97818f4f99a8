import type { Interrupt } from '@ag-ui/core'
import { z } from 'zod'

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

/** What waits for a person, as a terminal shows it (docs/events.md). */
export interface AskedOnce {
  id: string
  /** A call that may run or not, a plan, questions with choices, or what only the console has a form for. */
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
