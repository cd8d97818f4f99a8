import type {
  HookCallbackMatcher,
  HookEvent,
  HookInput,
  HookJSONOutput,
} from '@anthropic-ai/claude-agent-sdk'

/** Form of a subagent's id. Other sessions have a name, six digits or a socket's address (2.1.329 and 2.1.332). */
const SUBAGENT_ID = /^a[0-9a-f]{16}$/

export interface RunGateOptions {
  /** Whether the process works for a run, or for a turn that waits for a person between two runs. */
  isAtWork(): boolean
  /** Resolves when the start of that run is committed. Rejects when it cannot be. */
  begun(): Promise<void>
  /** Whether the model may still refuse a picture or document of this turn. */
  isMediaUntried(): boolean
  /** Called after a refusal with the tool's name, or with `turn`. */
  onRefused(what: string): void
}

/**
 * Returns the hooks that allow no turn and no tool call without a run. Claude Code calls them before the model gets a
 * prompt, whoever wrote it (measured: also an ended task, another session, a hook that wakes the model). It also calls
 * them before each tool call, its subagents' included. Both hooks fail closed. A prompt is written while the start of
 * its run is being committed. The hook holds it until then, so that the model gets no run that is not in the log.
 *
 * The PreCompact hook blocks automatic compaction while the model may still refuse a picture or document. After a
 * refusal Claude Code would summarise the good turns and try again with the picture (measured: 2.1.332). The entries to
 * take the conversation back to would then be lost. It ignores the hook when the request is too long to be sent.
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
