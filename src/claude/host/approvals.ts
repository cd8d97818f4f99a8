import { isDeepStrictEqual } from 'node:util'
import type { Interrupt, ResumeEntry } from '@ag-ui/core'
import type { CanUseTool, PermissionResult, PermissionUpdate } from '@anthropic-ai/claude-agent-sdk'
import { z } from 'zod'
import { type Answer, readAnswer, toInterrupt } from './interrupts.ts'

/** A tool call that waits for a person. Stored, so that the question survives a restart, and checked by this schema. */
export const ToolAsked = z.object({
  interrupt: z.custom<Interrupt>((value) => typeof value === 'object' && value !== null && 'id' in value),
  tool: z.string(),
  toolUseId: z.string(),
  input: z.record(z.string(), z.unknown()),
})
export type ToolAsked = z.infer<typeof ToolAsked>

export interface Answered {
  asked: ToolAsked
  answer: Answer
}

export interface ApprovalsOptions {
  /** Time after which an answer counts as a refusal, in milliseconds; 0 for never. */
  expiresMs: number
  /** Returns the AG-UI id of the call that Claude Code names. */
  toolCallId(toolUseId: string): string
  /** Called when a question has come, was answered or has become void. */
  onChange(): void
}

interface Waiting extends ToolAsked {
  suggestions: PermissionUpdate[]
  settle(result: PermissionResult): void
}

/**
 * The questions of one Claude process. Every `can_use_tool` waits here until a later run brings a person's answer. No
 * call runs without an answer, and a missing answer is not an approval.
 */
export class Approvals {
  readonly #options: ApprovalsOptions
  readonly #waiting = new Map<string, Waiting>()
  /** Calls that were approved before a restart and may be made again. */
  readonly #granted: { tool: string; input: Record<string, unknown> }[] = []

  constructor(options: ApprovalsOptions) {
    this.#options = options
  }

  get waiting(): ToolAsked[] {
    return [...this.#waiting.values()].map(({ interrupt, tool, toolUseId, input }) => ({
      interrupt,
      tool,
      toolUseId,
      input,
    }))
  }

  /** Callback for the SDK. Claude Code sets no deadline (measured: 720 s). */
  readonly canUseTool: CanUseTool = (tool, input, { toolUseID, suggestions = [], signal, title }) => {
    const granted = this.#takeGranted(tool, input)
    if (granted !== undefined) return Promise.resolve({ behavior: 'allow', updatedInput: granted })
    const { expiresMs, toolCallId } = this.#options
    const interrupt = toInterrupt({ tool, input, toolCallId: toolCallId(toolUseID), title, expiresMs })
    return new Promise((resolve) => {
      const settle = (result: PermissionResult): void => {
        this.#waiting.delete(interrupt.id)
        resolve(result)
        this.#options.onChange()
      }
      this.#waiting.set(interrupt.id, { interrupt, tool, toolUseId: toolUseID, input, suggestions, settle })
      signal.addEventListener('abort', () => settle({ behavior: 'deny', message: 'The turn was stopped.' }), {
        once: true,
      })
      this.#options.onChange()
    })
  }

  /**
   * Gives the answers to Claude Code. Ignores answers to no pending question: late, repeated and unknown answers are
   * harmless (agui-1.0-producer.md A8.58).
   */
  answer(entries: readonly ResumeEntry[]): Answered[] {
    return entries.flatMap((entry) => {
      const waiting = this.#waiting.get(entry.interruptId)
      if (waiting === undefined) return []
      const read = readAnswer(waiting, entry)
      // Without a rule of Claude Code's there is nothing to remember, and the stream must not say otherwise.
      const answer = read.approved
        ? { ...read, remember: read.remember && waiting.suggestions.length > 0 }
        : read
      waiting.settle(toResult(waiting, answer))
      return [{ asked: waiting, answer }]
    })
  }

  /** Lets the next equal call pass without a question, once. */
  grant({ tool }: ToolAsked, input: Record<string, unknown>): void {
    this.#granted.push({ tool, input })
  }

  #takeGranted(tool: string, input: Record<string, unknown>): Record<string, unknown> | undefined {
    const at = this.#granted.findIndex(
      (granted) => granted.tool === tool && isDeepStrictEqual(granted.input, input),
    )
    return at < 0 ? undefined : this.#granted.splice(at, 1)[0]?.input
  }
}

function toResult(waiting: Waiting, answer: Answer): PermissionResult {
  if (!answer.approved) return { behavior: 'deny', message: answer.message }
  // The rules hold for this session only: any other destination writes a settings file into the workspace or HOME.
  const rules = waiting.suggestions.map((rule) => ({ ...rule, destination: 'session' as const }))
  return {
    behavior: 'allow',
    updatedInput: answer.updatedInput,
    ...(answer.remember ? { updatedPermissions: rules } : {}),
  }
}
