import type { Interrupt, ResumeEntry } from '@ag-ui/core'
import { z } from 'zod'
import type { Redactor } from '../redaction/redactor.ts'

const Payload = z.looseObject({
  editedArgs: z.record(z.string(), z.unknown()).optional(),
  answers: z.record(z.string(), z.unknown()).optional(),
})
const Asked = z.looseObject({
  'agui-runner': z.looseObject({ input: z.record(z.string(), z.unknown()) }),
})

/**
 * The answer to an interrupt as it is meant: a client knows the call's input without its secrets only, and sends back
 * what it was shown when it edits other parts, or names a question.
 *
 * @throws {RunnerError} `invalid_input` for arguments that would run with a marker in them.
 */
export function restoreAnswer(entry: ResumeEntry, interrupt: Interrupt, redactor: Redactor): ResumeEntry {
  const payload = Payload.safeParse(entry.payload)
  const asked = Asked.safeParse(interrupt.metadata)
  if (!payload.success || !asked.success) return entry
  const { editedArgs, answers } = payload.data
  const { input } = asked.data['agui-runner']
  const restored = {
    ...payload.data,
    ...(editedArgs && { editedArgs: redactor.restore(editedArgs, { original: input, name: 'editedArgs' }) }),
    ...(answers && { answers: restoreWords(answers, input, redactor) }),
  }
  return { ...entry, payload: restored }
}

/** Questions and options by the words that were shown of them; what else a person says are their own words. */
function restoreWords(
  answers: Record<string, unknown>,
  input: unknown,
  { redactText }: Redactor,
): Record<string, unknown> {
  const originals = new Map<string, Set<string>>()
  for (const words of wordsIn(input)) {
    const shown = redactText(words)
    originals.set(shown, (originals.get(shown) ?? new Set()).add(words))
  }
  // Of two that look the same nobody knows which is meant.
  const original = (shown: string): string => {
    const [only = shown, another] = originals.get(shown) ?? []
    return another === undefined ? only : shown
  }
  const inAnswer = (answer: unknown): unknown => (typeof answer === 'string' ? original(answer) : answer)
  return Object.fromEntries(
    Object.entries(answers).map(([question, answer]) => [
      original(question),
      Array.isArray(answer) ? answer.map(inAnswer) : inAnswer(answer),
    ]),
  )
}

function wordsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(wordsIn) : []
}
