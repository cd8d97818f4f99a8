import { z } from 'zod'
import { isObject, parseJson } from '../../json.ts'
import type { ApiError } from './rejected-input.ts'

const Stopping = z.object({ prevent_continuation: z.literal(true), content: z.string() })
const Compaction = z.object({ compact_result: z.literal('failed'), compact_error: z.string().optional() })
const HookSaid = z.object({ output: z.string() })
const HookStops = z.object({ continue: z.literal(false), stopReason: z.string() })

/** Signs from the messages of a turn that its `result` does not repeat. How the turn has ended depends on them. */
export class EndSigns {
  apiError: ApiError | undefined
  /** Why the prompt was not accepted: a hook refused it, or its command failed. */
  refusal: string | undefined
  /** The reason of the last hook that stopped the turn. */
  hookReason: string | undefined
  /** Why the model's last answer ended. It is also the reason for the harness's message after it. */
  stopReason = 'other'
  /** Whether the harness has told the model to continue and the model has not begun to answer. */
  isAskedToGoOn = false

  hear(kind: string, message: Record<string, unknown>): void {
    if (kind === 'assistant' && message['parent_tool_use_id'] === null) this.isAskedToGoOn = false
    else if (kind === 'system/informational')
      this.refusal = Stopping.safeParse(message).data?.content ?? this.refusal
    else if (kind === 'system/status') {
      const failed = Compaction.safeParse(message).data
      if (failed !== undefined) this.refusal = failed.compact_error ?? 'The compaction failed.'
    } else if (kind === 'system/hook_response') {
      const { output = '' } = HookSaid.safeParse(message).data ?? {}
      this.hookReason = HookStops.safeParse(parseJson(output)).data?.stopReason ?? this.hookReason
    }
  }

  /** Notes that an answer begins. It counts as cut until it says why it ended. */
  answerBegins(): void {
    this.stopReason = 'cut'
    this.isAskedToGoOn = false
  }

  answerEnds(delta: unknown): void {
    if (isObject(delta) && typeof delta['stop_reason'] === 'string') this.stopReason = delta['stop_reason']
  }
}
