import type { RunAgentInput } from '@ag-ui/core'
import { checkTools } from './host/client-tools.ts'
import { checkAnswers } from './host/elicitations.ts'
import { checkSame, type Switches } from './launch/switches.ts'
import { checkWords } from './translate/prompt.ts'

interface Around {
  /** What is open of elicitations. */
  asked: readonly object[]
  /** Under way, or waiting for somebody. */
  turn: { isParked: boolean; switches: Switches } | undefined
  /** It is to go into the turn under way. */
  isSteering: boolean
}

/**
 * What of an input is Claude's to refuse, beside its switches.
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
