import { containerName, type LaunchPlan } from './plan.ts'

export type EngineKind = 'docker' | 'podman'

export const LABEL = {
  run: 'agui-runner.run',
  started: 'agui-runner.started',
  pid: 'agui-runner.pid',
  ticks: 'agui-runner.pid-started',
} as const

export interface EngineFacts {
  kind: EngineKind
  /** Whether an ordinary user runs the engine, which then maps users. The host's user must stay the same inside. */
  isRootless: boolean
}

/** The launching process and its time, by which `sweep` decides. */
export interface Launcher {
  pid: number
  /** Start time of the process in clock ticks since boot: a later process may have its pid. */
  started: string
  startedAt: Date
}

/** Returns the arguments of `ENGINE create …` for the plan. Pure, sorted and without secrets. */
export function createArguments(plan: LaunchPlan, engine: EngineFacts, launcher: Launcher): string[] {
  const { limits, network, user, image } = plan
  if (image === undefined) throw new Error('a container is made of an image')
  const isPodman = engine.kind === 'podman'
  return [
    'create',
    ...['--name', containerName(plan.run)],
    ...labelArguments(plan.run, launcher),
    ...['--network', network.kind === 'none' ? 'none' : network.name],
    '--read-only',
    '--init',
    ...['--user', `${user.uid}:${user.gid}`],
    ...(isPodman && engine.isRootless ? ['--userns', 'keep-id'] : []),
    ...['--cap-drop', 'ALL'],
    ...['--security-opt', 'no-new-privileges'],
    // With SELinux a mounted socket cannot be reached otherwise. Elsewhere the option has no effect.
    ...['--security-opt', 'label=disable'],
    ...['--pids-limit', String(limits.pids)],
    ...['--memory', String(limits.memoryBytes)],
    ...['--memory-swap', String(limits.memoryBytes)],
    ...['--cpus', String(limits.cpus)],
    ...['--stop-timeout', String(Math.ceil(limits.stopGraceMs / 1000))],
    ...logArguments(engine.kind, limits.logBytes),
    ...['--pull', 'never'],
    ...plan.scratch.flatMap(({ target, bytesMax, readOnly }) => [
      '--tmpfs',
      `${target}:${readOnly ? 'ro' : 'rw'},nosuid,nodev,size=${bytesMax},mode=${readOnly ? '0555' : '1777'}`,
    ]),
    ...plan.volumes.flatMap((target) => ['--volume', target]),
    ...plan.mounts.flatMap(({ source, target, readOnly }) => [
      '--mount',
      `type=bind,source=${source},target=${target}${readOnly ? ',readonly' : ''}`,
    ]),
    ...Object.keys(plan.environment)
      .sort()
      .flatMap((name) => ['--env', `${name}=${plan.environment[name]}`]),
    imageFor(image, engine.kind),
    ...plan.command,
  ]
}

/** Returns the arguments of `ENGINE network create …`, for a plan with a network of its own. */
export function networkArguments(plan: LaunchPlan, launcher: Launcher): string[] | undefined {
  if (plan.network.kind === 'none') return undefined
  return ['network', 'create', ...labelArguments(plan.run, launcher), plan.network.name]
}

function labelArguments(run: string, launcher: Launcher): string[] {
  const labels = [
    `${LABEL.run}=${run}`,
    `${LABEL.started}=${launcher.startedAt.toISOString()}`,
    `${LABEL.pid}=${launcher.pid}`,
    `${LABEL.ticks}=${launcher.started}`,
  ]
  return labels.flatMap((label) => ['--label', label])
}

/** Returns the log options. Podman's own driver only knows the size. */
function logArguments(kind: EngineKind, bytes: number): string[] {
  const size = ['--log-opt', `max-size=${bytes}`]
  return kind === 'podman'
    ? ['--log-driver', 'k8s-file', ...size]
    : ['--log-driver', 'json-file', ...size, '--log-opt', 'max-file=2']
}

/** Adds `localhost/` for podman, which keeps local images there and looks up short names in a registry. */
function imageFor(image: string, kind: EngineKind): string {
  const first = image.split('/')[0] ?? ''
  const isQualified = image.includes('/') && (/[.:]/.test(first) || first === 'localhost')
  return kind === 'podman' && !isQualified ? `localhost/${image}` : image
}
