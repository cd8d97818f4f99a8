import { type ChildProcess, spawn } from 'node:child_process'
import { getDefaultHighWaterMark, setDefaultHighWaterMark } from 'node:stream'
import type { SpawnOptions } from '@anthropic-ai/claude-agent-sdk'
import { policyDenied } from '../../channels.ts'
import { RunnerError } from '../../errors.ts'
import { Deltas } from './deltas.ts'
import { readFairly } from './fair-reading.ts'
import { paced } from './pace.ts'
import { putBehind } from './priority.ts'
import { MARK_VARIABLE } from './process-tree.ts'

/** The part of a sandbox that is ready for one process. */
export interface Prepared {
  /** Replaces child_process.spawn: piped stdio, a process group of its own. Call it once. */
  spawn(request: SpawnRequest): ChildProcess
  /** Frees what was prepared. Call it when nothing is spawned. */
  release(): void
}

interface SpawnRequest {
  command: string
  args: readonly string[]
  cwd: string
  env: Record<string, string | undefined>
  onDenied?(denial: Denial): void
}

/** A connection that a policy refused. Holds no secret. */
export interface Denial {
  host: string
  port: number
  method: string
  /** The gate that refused, one of a few words: l4, ssrf, l7, inference. */
  stage: string
  rule?: string
  reason: string
}

export interface Spawning {
  mark: string
  /** Returns the thread of the process and its run in progress, for observers. */
  observed(): { threadId: string; runId?: string }
  /** Called when something outside Claude Code refused a connection of Claude Code or of a process that it started. */
  onDenied?(denial: Denial): void
}

/**
 * Spawns Claude Code in a process group of its own, so that a signal to the group reaches what Claude Code started and
 * not the runner.
 *
 * @throws {RunnerError} `claude_start_failed` when the process has no pipes.
 */
export function spawnDetached(
  spawnOptions: SpawnOptions,
  { mark, observed, onDenied }: Spawning,
  prepared: Prepared | undefined,
): Spawned {
  const { command, args } = spawnOptions
  const cwd = spawnOptions.cwd ?? process.cwd()
  const env = { ...spawnOptions.env, [MARK_VARIABLE]: mark }
  const report = (denial: Denial): void => {
    const { host, port, method, stage, rule, reason } = denial
    const place = { host, port, method, gate: stage, rule, reason }
    policyDenied.publish({ ...observed(), by: 'runner', what: 'network', ...place })
    onDenied?.(denial)
  }
  const child = unbuffered(
    () =>
      prepared?.spawn({ command, args, cwd, env, onDenied: report }) ??
      spawn(command, args, { cwd, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] }),
  )
  const { stdin, stdout } = child
  if (stdin === null || stdout === null)
    throw new RunnerError('claude_start_failed', 'Claude Code has no pipes.')
  putBehind(child)
  return Object.assign(child, { stdin, stdout: readFairly(paced(stdout)).pipe(new Deltas()) })
}

export type Spawned = ChildProcess & { stdin: NonNullable<ChildProcess['stdin']>; stdout: Deltas }

/** Spawns with pipes that read nothing ahead: only then a paused output is left to the system, which gathers it. */
function unbuffered<T>(work: () => T): T {
  const bytes = getDefaultHighWaterMark(false)
  setDefaultHighWaterMark(false, 1)
  try {
    return work()
  } finally {
    setDefaultHighWaterMark(false, bytes)
  }
}
