import type {
  HookCallbackMatcher,
  HookEvent,
  HookInput,
  HookJSONOutput,
} from '@anthropic-ai/claude-agent-sdk'

/** A subagent's id. Other sessions go by a name, six digits or the address of a socket (2.1.329 and 2.1.332). */
const SUBAGENT_ID = /^a[0-9a-f]{16}$/

export interface RunGateOptions {
  /** Whether a run, or a turn that waits for a person between two runs, has this process at work. */
  isAtWork(): boolean
  /** Settles as the start of that run is committed, or is not. */
  begun(): Promise<void>
  /** Whether the model may yet refuse a picture or document of this turn. */
  isMediaUntried(): boolean
  /** Told what was refused: the tool's name, or `turn`. */
  onRefused(what: string): void
}

/**
 * No turn and no tool call without a run. Claude Code asks these hooks before the model hears of a prompt, whoever
 * wrote it (measured: also a task that has ended, another session, a hook that wakes the model), and before each tool
 * call, its subagents' included. Both fail closed. A prompt is written beside the commit of its run's start and waits here
 * for that, so that the model hears of no run that is not in the log.
 *
 * To a refused picture Claude Code answers by summing up the good turns and trying again with the picture (measured:
 * 2.1.332); the words that the conversation is taken back to are then gone. It does not heed the hook when the
 * request is too long to go out at all.
 */
export function runGate({ isAtWork, begun, isMediaUntried, onRefused }: RunGateOptions): HooksOfGate {
  const refuse = (what: string): void => onRefused(what)
  const prompt = async (): Promise<HookJSONOutput> => {
    const isBegun = isAtWork() && (await isKept(begun()))
    if (isBegun && isAtWork()) return {}
    refuse('turn')
    return { decision: 'block', reason: 'No run is under way on this thread; nobody asked for this turn.' }
  }
  const tool = async (input: HookInput): Promise<HookJSONOutput> => {
    if (input.hook_event_name !== 'PreToolUse') return {}
    const reason = isAtWork() ? messageProblem(input) : 'No run is under way on this thread.'
    if (reason === undefined) return {}
    refuse(input.tool_name)
    return {
      hookSpecificOutput: {
        hookEventName: 'PreToolUse',
        permissionDecision: 'deny',
        permissionDecisionReason: reason,
      },
    }
  }
  const compaction = async (input: HookInput): Promise<HookJSONOutput> => {
    if (input.hook_event_name !== 'PreCompact' || input.trigger !== 'auto' || !isMediaUntried()) return {}
    return { decision: 'block', reason: 'The model has not yet taken the picture or document of this turn.' }
  }
  return {
    PreCompact: [{ hooks: [compaction] }],
    UserPromptSubmit: [{ onFailure: 'block', hooks: [prompt] }],
    PreToolUse: [{ onFailure: 'block', hooks: [tool] }],
  }
}

function isKept(start: Promise<void>): Promise<boolean> {
  return start.then(
    () => true,
    () => false,
  )
}

type HooksOfGate = Record<
  Extract<HookEvent, 'UserPromptSubmit' | 'PreToolUse' | 'PreCompact'>,
  HookCallbackMatcher[]
>

function messageProblem(input: { tool_name: string; tool_input: unknown }): string | undefined {
  if (input.tool_name !== 'SendMessage') return undefined
  const { tool_input: given } = input
  const to: unknown = typeof given === 'object' && given !== null ? Reflect.get(given, 'to') : undefined
  if (typeof to === 'string' && SUBAGENT_ID.test(to)) return undefined
  return 'Only subagents of this session can be sent a message: name one by its agentId. Other sessions are other people’s conversations.'
}
