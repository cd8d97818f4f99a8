import { randomBytes } from 'node:crypto'
import { readFile, realpath } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { type Command, Option } from 'commander'
import type { EngineKind } from '../launch/arguments.ts'
import { Engine } from '../launch/engine.ts'
import type { ContainerOptions } from '../launch/launch.ts'
import type { WorkspaceKind } from '../launch/mounted.ts'
import type { LaunchMode } from '../launch/plan.ts'
import { decideMode } from '../launch/visibility.ts'
import { readKnownSecrets } from '../redaction/known-secrets.ts'
import type { CliContext } from './context.ts'
import { findLaunchDoor } from './launch-door.ts'

export interface LaunchFlags {
  mode: 'auto' | LaunchMode
  image: string
  workspace?: WorkspaceKind
  git: 'pinned' | 'hidden'
  engine?: EngineKind
  dryRun?: boolean
}

const GIB = 1024 ** 3

const LIMITS = {
  memoryBytes: 4 * GIB,
  pids: 512,
  cpus: 2,
  logBytes: 10 * 1024 * 1024,
  stopGraceMs: 30_000,
} as const

export function addLaunchOptions(command: Command, version: string): Command {
  return command
    .addOption(
      new Option('--mode <mode>', 'private has no network, public an open one')
        .choices(['auto', 'private', 'public'])
        .default('auto'),
    )
    .option('--image <reference>', 'an exact tag or digest', `agui-runner:${version}`)
    .addOption(
      new Option(
        '--workspace <kind>',
        'a clone of this folder (where CI is set), the folder itself (elsewhere), or an empty one',
      ).choices(['clone', 'mount', 'none']),
    )
    .addOption(
      new Option('--git <how>', 'what a mounted folder shows of its .git')
        .choices(['pinned', 'hidden'])
        .default('pinned'),
    )
    .addOption(
      new Option('--engine <name>', 'docker or podman; the first that answers').choices(['docker', 'podman']),
    )
    .option('--dry-run', 'print the plan and the commands, and start nothing')
}

export interface LaunchWants {
  context: CliContext
  flags: LaunchFlags
  environment?: Record<string, string>
  signal: AbortSignal
  say(line: string): void
}

/** Everything that a launch is made of, found on this machine. */
export async function launchOptionsOf({ context, flags, ...wants }: LaunchWants): Promise<ContainerOptions> {
  const { env, appDirectory, workingDirectory } = context
  const event = env['GITHUB_EVENT_PATH']
  const eventJson = event ? await readFile(event, 'utf8').catch(() => undefined) : undefined
  const { mode, reason } = decideMode(flags.mode, eventJson)
  wants.say(`${mode}: ${reason}`)
  const door = await findLaunchDoor(env, `${appDirectory}/wrappers`)
  const home = env['HOME'] || homedir()
  return {
    engine: await Engine.find(flags.engine, env),
    run: randomBytes(6).toString('hex'),
    mode,
    image: flags.image,
    workspace: {
      kind: flags.workspace ?? (env['CI'] ? 'clone' : 'mount'),
      source: workingDirectory,
      isGitHidden: flags.git === 'hidden',
      path: env['PATH'],
    },
    environment: { ...door.environment, ...wants.environment },
    limits: LIMITS,
    parent: tmpdir(),
    forbidden: [home, await realpath(home).catch(() => home)],
    secrets: readKnownSecrets(env),
    openDoor: door.open,
    signal: wants.signal,
    say: wants.say,
  }
}
