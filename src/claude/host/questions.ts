import type { ElicitationResult } from '@anthropic-ai/claude-agent-sdk'
import { z } from 'zod'
import { ToolAsked } from './approvals.ts'
import { type Elicitation, Elicited } from './elicitations.ts'

/** A question that waits for a person: a tool call, or a question of an MCP server. Stored data is checked by this. */
export const Asked = z.union([ToolAsked, Elicited])
export type Asked = z.infer<typeof Asked>

/** A person's answer to a question whose process has ended. It holds for the next equal question, once. */
export type Grant =
  | { asked: ToolAsked; updatedInput: Record<string, unknown> }
  | { elicitation: Elicitation; result: ElicitationResult }
