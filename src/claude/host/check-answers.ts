import type { ResumeEntry } from '@ag-ui/core'
import { RunnerError } from '../../errors.ts'
import { elicitedProblems } from './elicitations.ts'
import { answerProblems } from './interrupts.ts'
import type { Asked } from './questions.ts'

/**
 * Checks the answers while the request can still be refused. The questions then stay pending.
 *
 * @throws {RunnerError} `invalid_input`, naming what does not fit the question.
 */
export function checkAnswers(asked: readonly Asked[], entries: readonly ResumeEntry[]): void {
  for (const question of asked) {
    const { interrupt } = question
    const entry = entries.find(({ interruptId }) => interruptId === interrupt.id)
    if (entry === undefined || entry.status === 'cancelled') continue
    const isElicited = 'elicitation' in question
    const problems = isElicited ? elicitedProblems(question, entry) : answerProblems(question, entry)
    if (problems.length === 0) continue
    const who = isElicited ? `"${question.elicitation.server}"` : question.tool
    throw new RunnerError(
      'invalid_input',
      `The answer to interrupt ${interrupt.id} does not fit what ${who} asked for: ${problems.join('; ')}.`,
      { details: problems },
    )
  }
}
