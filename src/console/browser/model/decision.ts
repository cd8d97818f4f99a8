/** What a person decided on a tool call, and when (milliseconds since 1970). */
export interface ToolDecision {
  word: string
  at: number
}
