import type { RunAgentInput } from '@ag-ui/core'
import { checkAnswers } from './host/check-answers.ts'
import { checkTools } from './host/client-tools.ts'
import type { Asked } from './host/questions.ts'
import { checkSame, type Switches } from './launch/switches.ts'
import { checkWords } from './translate/prompt.ts'

interface Around {
  /** The questions that wait for a person. */
  asked: readonly Asked[]
  /** The turn that is in progress or waits for somebody. */
  turn: { isParked: boolean; switches: Switches } | undefined
  /** Whether the input is for the turn in progress. */
  isSteering: boolean
}

/**
 * Checks the parts of an input that only this agent understands: tools, messages, answers. Compares the switches with
 * those of the turn that the input continues; their own values are checked elsewhere.
 *
 * @throws {RunnerError} `invalid_input`, naming the wrong part.
 */
export function checkInput(
  { tools, forwardedProps, messages, resume = [] }: RunAgentInput,
  { asked, turn, isSteering }: Around,
): void {
  checkTools(tools)
  checkWords(messages)
  checkAnswers(asked, resume)
  if (turn !== undefined && (isSteering || turn.isParked)) checkSame(forwardedProps, turn.switches)
}
