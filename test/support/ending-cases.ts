// How a turn can end: hooks that stop it, stop reasons of the model, and work that was asked for and is not there.
import type { Options } from '@anthropic-ai/claude-agent-sdk'
import type { RecordingCase } from './recording-cases.ts'

type HookEvent = keyof Extract<NonNullable<Extract<Options['settings'], object>['hooks']>, object>

const STOPS = '{"continue":false,"stopReason":"enough of it"}'
const REFUSES = 'echo "not with me" >&2; exit 2'

const hook = (event: HookEvent, command: string): Partial<Options> => ({
  includeHookEvents: true,
  settings: { hooks: { [event]: [{ hooks: [{ type: 'command' as const, command }] }] } },
})
const says = (json: string): string => `echo '${json}'`

const bash = { tool: 'Bash', input: { command: 'echo ran', description: 'test' } }
const delegate = {
  tool: 'Agent',
  input: { description: 'look', prompt: 'look', subagent_type: 'general-purpose', run_in_background: false },
}
const TOOL_THEN_TEXT: RecordingCase['rules'] = [{ when: { round: 0 }, reply: [bash] }, { reply: ['Done.'] }]
const DELEGATED: RecordingCase['rules'] = [
  { when: { subagent: true, round: 0 }, reply: [bash] },
  { when: { subagent: true }, reply: ['report'] },
  { when: { round: 0 }, reply: [delegate] },
  { reply: ['Done.'] },
]
const TEXT: RecordingCase['rules'] = [{ reply: ['Hello.'] }]
const stopped = (stop: string): RecordingCase['rules'] => [{ reply: ['so far', { stop }] }]

const NAME_FORMAT: NonNullable<Options['outputFormat']> = {
  type: 'json_schema',
  schema: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
}

export const ENDING_CASES: Readonly<Record<string, RecordingCase>> = {
  'hook-prompt-refused': { rules: TEXT, options: hook('UserPromptSubmit', REFUSES) },
  'hook-prompt-blocked': {
    rules: TEXT,
    options: hook('UserPromptSubmit', says('{"decision":"block","reason":"not today"}')),
  },
  'hook-prompt-stopped': { rules: TEXT, options: hook('UserPromptSubmit', says(STOPS)) },
  'hook-start-stopped': { rules: TEXT, options: hook('SessionStart', says(STOPS)) },
  'hook-call-stopped': { rules: TOOL_THEN_TEXT, options: hook('PreToolUse', says(STOPS)) },
  'hook-call-deferred': {
    rules: TOOL_THEN_TEXT,
    options: hook(
      'PreToolUse',
      says('{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"defer"}}'),
    ),
  },
  'hook-result-stopped': { rules: TOOL_THEN_TEXT, options: hook('PostToolUse', says(STOPS)) },
  'hook-failure-stopped': {
    rules: [
      { when: { round: 0 }, reply: [{ tool: 'Bash', input: { command: 'exit 3', description: 'x' } }] },
      { reply: ['Done.'] },
    ],
    options: hook('PostToolUseFailure', says(STOPS)),
  },
  'hook-batch-stopped': { rules: TOOL_THEN_TEXT, options: hook('PostToolBatch', says(STOPS)) },
  'hook-end-stopped': { rules: TEXT, options: hook('Stop', says(STOPS)) },
  'hook-end-refused': { rules: TEXT, options: hook('Stop', REFUSES) },
  'hook-subagent-stopped': { rules: DELEGATED, options: hook('SubagentStop', says(STOPS)) },
  'hook-subagent-start-stopped': { rules: DELEGATED, options: hook('SubagentStart', says(STOPS)) },
  'hook-subagent-result-stopped': { rules: DELEGATED, options: hook('PostToolUse', says(STOPS)) },
  'hook-compact-refused': { rules: TEXT, prompts: ['one', '/compact'], options: hook('PreCompact', REFUSES) },
  'hook-compact-stopped': {
    rules: TEXT,
    prompts: ['one', '/compact'],
    options: hook('PreCompact', says(STOPS)),
  },
  'pause-turn': { rules: [{ times: 1, reply: ['so far', { stop: 'pause_turn' }] }, { reply: ['the rest'] }] },
  'context-exceeded': { rules: stopped('model_context_window_exceeded') },
  'stop-sequence': { rules: stopped('stop_sequence') },
  'stop-unknown': { rules: stopped('from_tomorrow') },
  'stop-tool-use': { rules: stopped('tool_use') },
  'structured-output-missing': { rules: TEXT, options: { outputFormat: NAME_FORMAT } },
  'unknown-command': { rules: TEXT, prompts: ['/nothing-like-it'] },
}
