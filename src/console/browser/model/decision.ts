/** The word of a refusal, by which a call is known as refused and not as failed. */
export const REFUSED_WORD = 'Refused'

/** What a person decided on a tool call, and when (milliseconds since 1970). */
export interface ToolDecision {
  word: string
  at: number
}
