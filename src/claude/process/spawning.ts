import { type ChildProcess, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import type { SpawnOptions } from '@anthropic-ai/claude-agent-sdk'
import { policyDenied } from '../../channels.ts'
import { RunnerError } from '../../errors.ts'
import { putBehind } from './priority.ts'
import { MARK_VARIABLE } from './process-tree.ts'
import { inTurns } from './turns.ts'

/** What a sandbox has ready for one process. */
export interface Prepared {
  /** In the place of child_process.spawn: piped stdio, a process group of its own. Once. */
  spawn(request: SpawnRequest): ChildProcess
  /** Call when nothing is to be spawned. */
  release(): void
}

interface SpawnRequest {
  command: string
  args: readonly string[]
  cwd: string
  env: Record<string, string | undefined>
  onDenied?(denial: Denial): void
}

/** What a policy refused; no secret in it. */
export interface Denial {
  host: string
  port: number
  method: string
  /** Which gate refused, in few distinct words: l4, ssrf, l7, inference. */
  stage: string
  rule?: string
  reason: string
}

export interface Spawning {
  mark: string
  /** Whose process it is, and the run that it works on now: for those who observe it. */
  observed(): { threadId: string; runId?: string }
  /** Something outside Claude Code refused a connection of it, or of what it started. */
  onDenied?(denial: Denial): void
}

/** In a group of its own, so that a signal to the group reaches what Claude Code started and not the runner. */
export function spawnDetached(
  spawnOptions: SpawnOptions,
  { mark, observed, onDenied }: Spawning,
  prepared: Prepared | undefined,
): ChildProcess & Streams {
  const { command, args } = spawnOptions
  const cwd = spawnOptions.cwd ?? process.cwd()
  const env = { ...spawnOptions.env, [MARK_VARIABLE]: mark }
  const tell = (denial: Denial): void => {
    const { host, port, method, stage, rule, reason } = denial
    const place = { host, port, method, gate: stage, rule, reason }
    policyDenied.publish({ ...observed(), by: 'runner', what: 'network', ...place })
    onDenied?.(denial)
  }
  const child =
    prepared?.spawn({ command, args, cwd, env, onDenied: tell }) ??
    spawn(command, args, { cwd, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  const { stdin, stdout } = child
  if (stdin === null || stdout === null)
    throw new RunnerError('claude_start_failed', 'Claude Code has no pipes.')
  putBehind(child)
  return Object.assign(child, { stdin, stdout: inTurns(stdout) })
}

type Streams = { stdin: NonNullable<ChildProcess['stdin']>; stdout: Readable }
