import type { ElicitationResult } from '@anthropic-ai/claude-agent-sdk'
import { z } from 'zod'
import { ToolAsked } from './approvals.ts'
import { type Elicitation, Elicited } from './elicitations.ts'

/** What waits for a person: a tool call, or a question of an MCP server. Door of stored data. */
export const Asked = z.union([ToolAsked, Elicited])
export type Asked = z.infer<typeof Asked>

/** What a person has said of a question whose process is gone; it holds for the next equal one, once. */
export type Grant =
  | { asked: ToolAsked; updatedInput: Record<string, unknown> }
  | { elicitation: Elicitation; result: ElicitationResult }
