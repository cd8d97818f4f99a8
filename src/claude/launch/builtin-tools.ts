/**
 * Every built-in tool of Claude Code 2.1.329 and 2.1.332, with its decision. It is offered, offered only when
 * `SDK_OPTIONS.allowedTools` names it (as Claude Code itself does), or refused; then the value is the reason. Only
 * the tools in this table are offered: a tool of a later Claude Code is absent until it has its row. A test compares
 * the table with the real binary.
 */
const DECISIONS = {
  Agent: 'offered',
  AskUserQuestion: 'offered',
  Bash: 'offered',
  Edit: 'offered',
  EndConversation: 'offered',
  EnterPlanMode: 'offered',
  EnterWorktree: 'offered',
  ExitPlanMode: 'offered',
  ExitWorktree: 'offered',
  ListMcpResourcesTool: 'offered',
  LSP: 'offered',
  NotebookEdit: 'offered',
  Read: 'offered',
  ReadMcpResourceDirTool: 'offered',
  ReadMcpResourceTool: 'offered',
  ReportFindings: 'offered',
  /** Sends only to subagents of the same session: see run-gate.ts. */
  SendMessage: 'offered',
  Skill: 'offered',
  SubagentHandback: 'offered',
  TaskStop: 'offered',
  ToolSearch: 'offered',
  WaitForMcpServers: 'offered',
  WebFetch: 'offered',
  WebSearch: 'offered',
  Write: 'offered',

  Glob: 'on request',
  Grep: 'on request',
  TaskCreate: 'on request',
  TaskGet: 'on request',
  TaskList: 'on request',
  TaskUpdate: 'on request',
  TodoWrite: 'on request',

  CronCreate: 'it starts turns that belong to no run',
  CronDelete: 'it manages what CronCreate makes',
  CronList: 'it manages what CronCreate makes',
  Monitor: 'it starts turns that belong to no run',
  ScheduleWakeup: 'it starts turns that belong to no run',
  Workflow: 'it works in the background and starts a turn when it ends',
  RemoteTrigger: 'it starts sessions on other machines',
  ListAgents: 'it shows the other threads',
  ReadNotifications: 'what it reads comes from outside of the thread',
  SetGoal: 'it makes turns go on after their answer',
  PushNotification: 'it reaches a person past the thread',
  SendUserFile: 'it reaches a person past the thread',
  SendUserMessage: 'it reaches a person past the thread',
  SendFeedback: 'it sends the conversation away',
  ShareOnboardingGuide: 'it sends a file of the workspace away',
  Artifact: 'it publishes on claude.ai',
  ClaudeDesign: 'it needs claude.ai',
  DesignSync: 'it needs claude.ai',
  Projects: 'it needs claude.ai',
  propose_skills: 'it needs the desktop app',
  OfferChromeSetup: 'it needs a terminal',
  ShowOnboardingRolePicker: 'it needs a terminal',
  PowerShell: 'it needs Windows',
} as const satisfies Record<string, string>

export const BUILTIN_TOOLS: ReadonlyMap<string, string> = new Map(Object.entries(DECISIONS))

/**
 * Returns the names of the built-in tools of a session. Claude Code itself drops those that make no sense in it, such
 * as questions when nobody can answer.
 */
export function offeredTools(allowedTools: readonly string[]): string[] {
  const named = new Set(allowedTools.map(nameOf))
  return [...BUILTIN_TOOLS]
    .filter(([name, decision]) => decision === 'offered' || (decision === 'on request' && named.has(name)))
    .map(([name]) => name)
}

/** Returns why a rule such as `Workflow` or `Bash(git:*)` cannot be allowed. Undefined when it can. */
export function refusalOf(rule: string): string | undefined {
  const decision = BUILTIN_TOOLS.get(nameOf(rule))
  return decision === 'offered' || decision === 'on request' ? undefined : decision
}

function nameOf(rule: string): string {
  return rule.split('(', 1)[0] ?? rule
}
