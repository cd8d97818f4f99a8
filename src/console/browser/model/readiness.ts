import type { Level } from './model.ts'

export interface Readiness {
  isReady: boolean
  checks: { name: string; isOk: boolean; message: string }[]
}

export interface CheckRow {
  title: string
  level: Level | 'good'
  message: string
}

const TITLES: Readonly<Record<string, string>> = {
  model_route: 'Model route',
  credentials: 'Credentials',
  mcp_servers: 'MCP servers',
  platform_link: 'Platform link',
  claude_code: 'Claude Code',
  home: 'HOME',
  state: 'State folder',
  workspace: 'Workspace',
  workspace_setup: 'Workspace set-up',
  policy_enforcement: 'Policy',
}

const POLICY = 'policy_enforcement'
const MODEL = 'model_route'

/** One word of the page's head. */
export interface Headline {
  word: string
  level: Level | 'good'
}

export function headlinesOf({ isReady, checks }: Readiness): Headline[] {
  if (!isReady) return [{ word: 'not ready', level: 'bad' }]
  const said = (name: string): string | undefined => checks.find((check) => check.name === name)?.message
  const policy = said(POLICY)
  return [
    { word: 'ready', level: 'good' },
    ...(isMock(said(MODEL) ?? '') ? [{ word: 'mock', level: 'warn' as const }] : []),
    ...(policy === undefined
      ? []
      : [
          isEnforced(policy)
            ? { word: 'enforced', level: 'good' as const }
            : { word: 'not enforced', level: 'warn' as const },
        ]),
  ]
}

export function checksOf({ checks }: Readiness): CheckRow[] {
  return checks.map(({ name, isOk, message }) => ({
    title: TITLES[name] ?? name,
    level: !isOk ? 'bad' : isLimited(name, message) ? 'warn' : 'good',
    message: message === '' ? (isOk ? 'works' : 'does not work') : message,
  }))
}

/** A check that does not fail, and is not what one would wish. */
function isLimited(name: string, message: string): boolean {
  return name === POLICY ? !isEnforced(message) : name === MODEL && isMock(message)
}

function isMock(message: string): boolean {
  return message.startsWith('mock')
}

function isEnforced(message: string): boolean {
  return message.startsWith('enforced')
}
