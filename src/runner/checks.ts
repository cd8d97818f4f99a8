// Checks of what a run needs, each by trying it. `/ready` checks the running runner, `doctor` checks before a start.
import { access, mkdtemp, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { probeHome } from '../claude/launch/home.ts'
import type { McpConfig } from '../claude/launch/mcp-config.ts'
import type { ClaudeBinary } from '../claude/process/binary.ts'
import type { Env } from '../config.ts'
import { RunnerError, toMessage } from '../errors.ts'
import type { Check } from '../http/routes/health.ts'
import type { BrokerDoor } from '../model-route/probe.ts'
import { findClaude, type ModelRoute } from '../model-route/route.ts'
import type { Redactor } from '../redaction/redactor.ts'
import { type EnforcementReport, shortfallOf } from '../sandbox/report.ts'

/** The result of one check. */
export interface CheckFinding {
  name: string
  /** `false` when no run could work. */
  ok: boolean
  says: string
  facts?: Record<string, unknown>
}

export type Said = Omit<CheckFinding, 'name' | 'ok'>

export const PROBE_TIMEOUT_MS = 10_000

/** Runs one check. Returns its result, or the message of what it throws. */
export async function attempt(name: string, work: () => Promise<Said> | Said): Promise<CheckFinding> {
  try {
    return { name, ok: true, ...(await work()) }
  } catch (error) {
    return { name, ok: false, says: toMessage(error) }
  }
}

/** Returns a finding as clients get it, without secrets. */
export function checkOf({ name, ok, says }: CheckFinding, redactor: Redactor): Check {
  return { name, ok, ...(says === '' ? {} : { message: redactor.redactText(says) }) }
}

/** Asks the model route. @throws {RunnerError} `no_model_route` or a `model_` code when the route does not answer. */
export async function checkModel(
  route: ModelRoute,
  signal: AbortSignal,
  through: BrokerDoor | undefined,
): Promise<Said> {
  // Imported for the first check, not with the server, because undici takes a fifth of the start.
  const { probeRoute } = await import('../model-route/probe.ts')
  const began = performance.now()
  const result = await probeRoute(route, { timeoutMs: PROBE_TIMEOUT_MS, signal, through })
  if (!result.ok) throw new RunnerError(result.code, result.message)
  if (route.kind === 'vertex' || route.kind === 'bedrock')
    return { says: 'not asked: only a signed request would tell' }
  return { says: `yes, in ${Math.round(performance.now() - began)} ms` }
}

/** Finds the Claude Code binary. @throws {RunnerError} `claude_not_found`. */
export async function checkClaudePath(
  place: { env: Env; wrappersDirectory: string },
  signal: AbortSignal,
): Promise<Said> {
  const path = await findClaude({ ...place, signal })
  return { says: path, facts: { path } }
}

/** Starts the binary. @throws {RunnerError} `claude_start_failed` with the reason and the lowest version that works. */
export async function checkClaudeStarts(binary: ClaudeBinary): Promise<Said> {
  const version = await binary.check()
  return { says: version, facts: { version } }
}

/**
 * Checks that HOME and Claude's state folder can be written.
 *
 * @throws {RunnerError} `home_not_writable` for HOME; the system's error for the state folder.
 */
export async function checkHome(env: Env, claudeState: string): Promise<Said> {
  await probeHome({ HOME: env['HOME'] })
  await checkFolder(claudeState)
  return { says: `HOME ${env['HOME'] ?? 'is not set'}, CLAUDE_CONFIG_DIR ${claudeState}: writable` }
}

/**
 * Checks that a folder can be written, by writing: `access` tells root that it may write even where that fails. A
 * missing folder will be created when the server starts, so its nearest existing parent is checked instead.
 *
 * @throws the system's error when the folder cannot be written.
 */
export async function checkFolder(folder: string): Promise<Said> {
  try {
    await rmdir(await mkdtemp(join(folder, '.agui-runner-')))
  } catch (error) {
    if (await isThere(folder)) throw error
    await checkFolder(dirname(folder))
  }
  return { says: `${folder}: writable`, facts: { folder } }
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => path === dirname(path),
  )
}

/** Reports the MCP servers. It never fails, because runs work without a server that was left out. */
export function sayMcpServers({ servers, notes }: McpConfig): Said {
  const names = Object.keys(servers)
  const says = [names.length === 0 ? 'none' : names.join(', '), ...notes].join('; ')
  return { says, facts: { names, notes } }
}

export function sayEnforcement(report: EnforcementReport): Said {
  const { backend, parts, unsupported, stricter, looser } = report
  return {
    says: shortfallOf(report) ?? `everything, by ${backend}`,
    facts: { backend, parts, unsupported, stricter, looser },
  }
}
