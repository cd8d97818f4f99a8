import { realpath, stat } from 'node:fs/promises'
import { RunnerError } from '../errors.ts'
import { processOf } from '../process-table.ts'
import { isWithin } from '../sandbox/bwrap/places.ts'
import type { Launcher } from './arguments.ts'
import type { Isolation, Place } from './isolation.ts'
import { MountGuard } from './mount-guard.ts'
import { giveTo, prepareMounted, repositoryAbove, type WorkspaceKind } from './mounted.ts'
import { type LaunchLimits, type LaunchMode, type LaunchPlan, planLaunch } from './plan.ts'
import { findRunFolders, makeRunFolder, type RunFolder, removeRunFolder } from './run-folder.ts'

export interface LaunchSettings {
  isolation: Isolation
  run: string
  mode: LaunchMode
  workspace: {
    kind: WorkspaceKind
    source: string
    isGitHidden: boolean
    path: string | undefined
    /** The branch of a clone, and where it begins. */
    branch: string
    base: string | undefined
    depth: number | undefined
  }
  environment: Readonly<Record<string, string>>
  limits: LaunchLimits
  /** The folder in which the run's folder is made. */
  parent: string
  /** Folders that may not be mounted. */
  forbidden: readonly string[]
  /** Values that no plan may contain. */
  secrets: readonly string[]
  door: LaunchDoor
  /** Aborts the start. */
  signal: AbortSignal
  say(line: string): void
}

/** The way to the broker, which holds the credentials. */
export interface LaunchDoor {
  /** The agent's placeholders for the credentials. They are no secret: the socket is the proof. */
  environment: Record<string, string>
  /** Returns the folder of `gateway.sock`. `own` is a folder of the run for it. */
  folder(own: string): string
  /** Opens the session in that folder. */
  open(folder: string): Promise<LaunchSession>
}

export interface LaunchSession {
  /** Ends the session and its requests. */
  close(): Promise<{ pullRequests: readonly string[] }>
}

/** The image's user, who is given root's files. */
const SANDBOX_UID = 10001

export interface PreparedLaunch {
  plan: LaunchPlan
  folder: RunFolder
  /** The guard of a folder that is mounted. */
  guard: MountGuard | undefined
  place: Place
  /** Removes the folder, for a plan that is not started. */
  remove(): Promise<void>
}

/** Returns this process as the launcher of a launch that begins now. */
export function thisLauncher(): Launcher {
  const { pid } = process
  return { pid, started: processOf(pid)?.started ?? '', startedAt: new Date() }
}

/** Prepares everything that a plan names. `--dry-run` prints the plan and removes it all again. */
export async function prepareLaunch(options: LaunchSettings, launcher: Launcher): Promise<PreparedLaunch> {
  const { isolation, run, mode, workspace, limits, environment, forbidden, secrets, parent, say } = options
  const { image } = isolation
  const { kind, source, isGitHidden } = workspace
  const user = await containerUser(workspace)
  const marks =
    kind === 'none' ? {} : kind === 'clone' ? { checkout: source } : { mounted: await realpath(source) }
  const folder = await makeRunFolder(await realpath(parent), run, launcher, marks)
  let guard: MountGuard | undefined
  const remove = async (): Promise<void> => {
    await guard?.close()
    await removeRunFolder(folder.path)
  }
  try {
    const prepared = await prepareMounted({ ...workspace, target: folder.workspace, user })
    if (kind === 'mount') {
      await refuseShared(prepared.folder, run, parent)
      const above = isGitHidden ? undefined : repositoryAbove(prepared.folder)
      if (above !== undefined)
        say(
          `${prepared.folder} is a folder of the repository ${above}, which is not mounted with it: git finds none there. Mount ${above}, or use --workspace clone.`,
        )
      const onSetAside = (renamed: readonly string[]): void => sayRenamed(renamed, say)
      guard = await MountGuard.open({
        ...{ workspace: prepared.folder, isGitHidden, records: folder.path, user, onSetAside },
      })
    }
    await giveTo(folder.agent, user)
    const plan = planLaunch({
      ...{ run, mode, image, user, limits, environment, forbidden },
      ...{
        workspace: prepared.folder,
        startIn: prepared.startIn,
        guarded: guard?.parts ?? [],
        gatewayFolder: options.door.folder(folder.gateway),
        agentFolder: folder.agent,
      },
    })
    const json = JSON.stringify(plan)
    if (secrets.some((secret) => secret !== '' && json.includes(secret)))
      throw new RunnerError(
        'config_invalid',
        'A credential would stand in the plan: it is in a folder’s name, or in what is handed on.',
      )
    return { plan, folder, guard, place: isolation.place({ plan, launcher, folder: folder.path }), remove }
  } catch (error) {
    await remove()
    throw error
  }
}

/** What one launch finds and puts in order in a folder is not another's to rely on, so a folder has one at a time. */
async function refuseShared(folder: string, run: string, parent: string): Promise<void> {
  const other = (await findRunFolders(parent)).find(
    ({ run: one, mounted }) =>
      one !== run && mounted !== undefined && (isWithin(mounted, folder) || isWithin(folder, mounted)),
  )
  if (other === undefined) return
  throw new RunnerError(
    'config_invalid',
    `${other.mounted} is mounted by the run ${other.run}, or was when that was killed (agui-runner sweep). Use --workspace clone for runs beside each other.`,
  )
}

function sayRenamed(renamed: readonly string[], say: LaunchSettings['say']): void {
  for (const path of renamed)
    say(`${path} was set aside or restored: git would have executed what was made there`)
}

/** Returns the inner user: the caller, or for root the owner of the mounted folder, else the image's. The group is 0. */
async function containerUser({ kind, source }: LaunchSettings['workspace']): Promise<LaunchPlan['user']> {
  const uid = process.getuid?.() ?? 0
  if (uid !== 0) return { uid, gid: 0 }
  const owner = kind === 'mount' ? (await stat(source)).uid : 0
  return { uid: owner === 0 ? SANDBOX_UID : owner, gid: 0 }
}
