import { randomBytes } from 'node:crypto'
import { readFile, realpath } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { type Command, Option } from 'commander'
import { request } from 'undici'
import { openGitHub } from '../broker/github-upstream.ts'
import type { RepositoryRight } from '../broker/session.ts'
import { type Env, loadConfig } from '../config.ts'
import { RunnerError } from '../errors.ts'
import type { EngineKind } from '../launch/arguments.ts'
import { readCheckout, repositoryAt, uncommittedIn } from '../launch/checkout.ts'
import { ContainerIsolation } from '../launch/container-place.ts'
import { Engine } from '../launch/engine.ts'
import type { Isolation } from '../launch/isolation.ts'
import type { WorkspaceKind } from '../launch/mounted.ts'
import { HANDED_ON, type LaunchMode } from '../launch/plan.ts'
import type { LaunchDoor, LaunchSettings } from '../launch/prepare.ts'
import { decideMode } from '../launch/visibility.ts'
import { readKnownSecrets } from '../redaction/known-secrets.ts'
import { type AppFlags, addAppOptions, readApp } from './app-options.ts'
import type { CliContext } from './context.ts'
import { toBranch, toBranchPrefix, toDepth, toGib, toImage, toRepository } from './launch-values.ts'

export interface LaunchFlags extends AppFlags {
  mode: 'auto' | LaunchMode
  image?: string
  workspace: WorkspaceKind
  depth?: number
  base?: string
  git: 'pinned' | 'hidden'
  isolation: 'auto' | Isolation['kind']
  engine?: EngineKind
  memory?: number
  repository?: string
  access: RepositoryRight['access']
  branchPrefix: string
  gateway?: string
  gatewaySecret?: string
  audit?: string
  policy?: string
  dryRun?: boolean
}

const GIB = 1024 ** 3
const MEMORY_GIB = 4
const ASK_MS = 10_000

const LIMITS = {
  pids: 512,
  cpus: 2,
  logBytes: 10 * 1024 * 1024,
  stopGraceMs: 30_000,
} as const

export function addLaunchOptions(command: Command, version: string): Command {
  return addAppOptions(command)
    .addOption(
      new Option('--mode <mode>', 'private has no network, public an open one')
        .choices(['auto', 'private', 'public'])
        .default('auto'),
    )
    .option('--image <reference>', `an exact tag or digest; agui-runner:${version} unless given`, toImage)
    .addOption(
      new Option(
        '--workspace <kind>',
        'a clone of what is committed here, this folder itself, or an empty one',
      )
        .choices(['clone', 'mount', 'none'])
        .default('clone'),
    )
    .option('--depth <commits>', "how much history a clone has; the checkout's own unless given", toDepth)
    .option('--base <branch>', "where a clone's branch begins; the checkout's HEAD unless given", toBranch)
    .addOption(
      new Option('--git <how>', 'what a mounted folder shows of its .git')
        .choices(['pinned', 'hidden'])
        .default('pinned'),
    )
    .addOption(
      new Option(
        '--isolation <kind>',
        'a container, or a process of this machine; that where no engine answers',
      )
        .choices(['auto', 'container', 'process'])
        .default('auto'),
    )
    .addOption(
      new Option('--engine <name>', 'docker or podman; the first that answers').choices(['docker', 'podman']),
    )
    .option('--memory <gib>', `what the container may have; ${MEMORY_GIB} unless given`, toGib)
    .option(
      '--repository <owner/name>',
      'what git and the GitHub API lead to; where origin leads, when that is GITHUB_SERVER_URL',
      toRepository,
    )
    .addOption(
      new Option('--access <right>', 'what git and the GitHub API may do there')
        .choices(['read', 'write'])
        .default('write'),
    )
    .option('--branch-prefix <prefix>', 'of the branches that may be pushed there', toBranchPrefix, 'agui/')
    .option('--gateway <socket>', 'the control socket of an `agui-runner gateway`, which has the credentials')
    .option('--gateway-secret <file>', "that gateway's --secret-file")
    .option('--policy <file>', 'what decides about other hosts in private mode; POLICY_FILE')
    .option('--audit <file>', 'one line of JSON for each request to the broker, mode 0600')
    .option('--dry-run', 'print the plan and the commands, and start nothing')
}

export interface LaunchWants {
  context: CliContext
  flags: LaunchFlags
  signal: AbortSignal
  say(line: string): void
}

/** Settings with the reason for the mode. */
export type FoundSettings = LaunchSettings & { modeReason: string }

/** Collects the settings of a launch from the flags and this machine. */
export async function launchOptionsOf({ context, flags, ...wants }: LaunchWants): Promise<FoundSettings> {
  const { env, workingDirectory } = context
  const event = env['GITHUB_EVENT_PATH']
  const eventJson = event ? await readFile(event, 'utf8').catch(() => undefined) : undefined
  const run = randomBytes(6).toString('hex')
  const kind = flags.workspace
  refuseUnused(flags)
  const repository = await repositoryOf({ context, flags, kind })
  const isolation = await isolationOf({ context, flags, ...wants })
  const isProcess = isolation.kind === 'process' && flags.mode === 'auto'
  const { mode, reason } = isProcess
    ? { mode: 'private' as const, reason: 'a process has no network of its own' }
    : await decideMode({
        ...{ wanted: flags.mode, repository: repository.name, eventJson },
        ask: (name) => askGitHub(env, name),
      })
  wants.say(`${mode}: ${reason}`)
  const missing = kind === 'clone' ? await uncommittedIn(workingDirectory, env) : 0
  if (missing > 0) wants.say(`not committed here, so the agent does not see it: changes of ${missing} files`)
  const door = await doorOf({ context, flags, run, mode, repository: repository.name, say: wants.say })
  const home = env['HOME'] || homedir()
  return {
    isolation,
    run,
    mode,
    modeReason: reason,
    workspace: {
      kind,
      branch: `${flags.branchPrefix}${run}`,
      base: flags.base,
      depth: flags.depth,
      source: workingDirectory,
      isGitHidden: flags.git === 'hidden',
      path: env['PATH'],
    },
    environment: { ...handedOn(env), ...repository.environment, ...door.environment },
    limits: { ...LIMITS, memoryBytes: Math.round((flags.memory ?? MEMORY_GIB) * GIB) },
    parent: tmpdir(),
    forbidden: [home, await realpath(home).catch(() => home)],
    secrets: readKnownSecrets(env),
    door,
    signal: wants.signal,
    say: wants.say,
  }
}

function refuseUnused(flags: LaunchFlags): void {
  const { depth, base, git, workspace: kind, isolation, engine, image, memory } = flags
  const refuse = (words: string): never => {
    throw new RunnerError('config_invalid', words)
  }
  const isKind = `, and the workspace is ${kind} (--workspace).`
  if (kind !== 'clone' && (depth ?? base) !== undefined) refuse(`--depth and --base are of a clone${isKind}`)
  if (kind !== 'mount' && git === 'hidden') refuse(`--git is of a folder that is mounted${isKind}`)
  if (isolation === 'process' && (engine ?? image ?? memory) !== undefined)
    refuse('--engine, --image and --memory are of a container, and --isolation is process.')
}

/** Returns a container's isolation, or a process's when no engine answers and none was named. */
async function isolationOf({ context, flags, say }: LaunchWants): Promise<Isolation> {
  const { isolation, engine, image = `agui-runner:${context.version}` } = flags
  const ofContainers = async (): Promise<Isolation> =>
    new ContainerIsolation(await Engine.need(engine, context.env), image)
  if (isolation === 'container' || (isolation === 'auto' && engine !== undefined)) return await ofContainers()
  const found = isolation === 'auto' ? await Engine.find(engine, context.env) : undefined
  if (found instanceof Engine) return new ContainerIsolation(found, image)
  const { ProcessIsolation } = await import('../launch/process-place.ts')
  const process = new ProcessIsolation(context.appDirectory)
  if (found !== undefined)
    say(`process: ${found.lacking} So it has no limit on memory, processors and processes, and no image.`)
  return process
}

interface DoorWants {
  context: CliContext
  flags: LaunchFlags
  run: string
  mode: LaunchMode
  repository: string | undefined
  say(line: string): void
}

/** Returns the broker in this process, or the named gateway, which has its own credentials, policy and audit. */
async function doorOf({ context, flags, repository, ...common }: DoorWants): Promise<LaunchDoor> {
  const { env, appDirectory } = context
  const { gateway, gatewaySecret, audit, policy, branchPrefix, access } = flags
  const repositories = repository === undefined ? [] : [{ name: repository, access }]
  const rights = { repositories, branchPrefix }
  if ((gateway === undefined) !== (gatewaySecret === undefined))
    throw new RunnerError('config_invalid', 'Give --gateway and --gateway-secret, or neither.')
  if (gateway !== undefined && gatewaySecret !== undefined) {
    const isApp = [flags.appId, flags.installationId, flags.keyFile, flags.keyEnv, flags.keyCommand].some(
      (flag) => flag !== undefined,
    )
    if (audit !== undefined || policy !== undefined || isApp)
      throw new RunnerError(
        'config_invalid',
        'With --gateway, --audit, --policy and the GitHub App are options of that gateway.',
      )
    const { findNamedDoor } = await import('./named-gateway.ts')
    return await findNamedDoor({ ...common, rights, control: gateway, secretFile: gatewaySecret })
  }
  const { findOwnDoor } = await import('./launch-door.ts')
  return await findOwnDoor({
    ...{ ...common, env, rights, auditFile: audit, app: await readApp(flags, env) },
    policyFile: policy ?? loadConfig(env, context).policyFile,
    wrappersDirectory: `${appDirectory}/wrappers`,
  })
}

/** Returns GitHub's JSON about a repository. Undefined without a token or an answer. */
async function askGitHub(env: Env, repository: string): Promise<string | undefined> {
  const github = openGitHub(env)
  const token = env['GITHUB_TOKEN']
  if (!token) return undefined
  const url = new URL(`${github.apiUrl}/repos/${repository}`)
  try {
    const dispatcher = await github.connections(url)
    const headers = { authorization: `Bearer ${token}`, 'user-agent': 'agui-runner' }
    const answer = await request(url, { dispatcher, headers, signal: AbortSignal.timeout(ASK_MS) })
    const text = await answer.body.text()
    return answer.statusCode === 200 ? text : undefined
  } catch {
    // An unknown repository does not count as public.
    return undefined
  } finally {
    await github.close()
  }
}

function handedOn(env: Env): Record<string, string> {
  return Object.fromEntries(HANDED_ON.flatMap((name) => (env[name] ? [[name, env[name]]] : [])))
}

/** Finds the agent's repository and the checkout's committer; the environment's committer wins. */
async function repositoryOf({
  context: { env, workingDirectory },
  flags,
  kind,
}: {
  context: CliContext
  flags: LaunchFlags
  kind: WorkspaceKind
}): Promise<{ name: string | undefined; environment: Record<string, string> }> {
  const { serverUrl } = openGitHub(env)
  const { origin, identity } = await readCheckout(workingDirectory, env)
  const found = origin === undefined || kind === 'none' ? undefined : repositoryAt(origin, serverUrl)
  const name = flags.repository ?? found
  const environment: Record<string, string> =
    name === undefined ? {} : { GITHUB_REPOSITORY: name, GITHUB_SERVER_URL: serverUrl }
  for (const who of identity === undefined ? [] : (['AUTHOR', 'COMMITTER'] as const)) {
    if (!env[`GIT_${who}_NAME`]) environment[`GIT_${who}_NAME`] = identity?.name ?? ''
    if (!env[`GIT_${who}_EMAIL`]) environment[`GIT_${who}_EMAIL`] = identity?.email ?? ''
  }
  return { name, environment }
}
