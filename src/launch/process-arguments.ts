import { containerName, type LaunchPlan } from './plan.ts'

/** The parts of this machine that a plan is started from. */
export interface Machine {
  bwrap: string
  /** Path of setpriv, which drops root; undefined for an ordinary launcher. */
  setpriv: string | undefined
  /** The existing folders of the system and of this package that are visible inside. */
  shown: readonly { source: string; target: string }[]
  /** Links such as `/bin -> usr/bin`. */
  links: readonly { target: string; to: string }[]
  /** An empty file to mount, because a device cannot be mounted over a device. */
  empty: string
  /** The descriptors for the system call filter and for bubblewrap's report. */
  descriptors: { filter: number | undefined; info: number }
}

/** PATH inside. This machine's Node is in the first folder. */
const PATH = '/app/bin:/usr/local/bin:/usr/bin:/bin'
/** The capabilities that setpriv needs and drops. */
const OF_ROOT = ['CAP_SETUID', 'CAP_SETGID', 'CAP_SETPCAP']

/** Returns bubblewrap's arguments for the plan: a container's view, with this machine's programs. Pure. */
export function processArguments(plan: LaunchPlan, machine: Machine): string[] {
  const { user, environment } = plan
  const { setpriv, empty, descriptors } = machine
  const asUser =
    setpriv === undefined
      ? ['--unshare-user', '--uid', String(user.uid), '--gid', String(user.gid), '--cap-drop', 'ALL']
      : ['--cap-drop', 'ALL', ...OF_ROOT.flatMap((name) => ['--cap-add', name])]
  const variables = { PATH, ...environment }
  return [
    machine.bwrap,
    ...asUser,
    // The network namespace has only loopback. A network that leads out would be the machine's own.
    ...['--unshare-net', '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
    ...['--die-with-parent', '--new-session', '--hostname', containerName(plan.run)],
    ...foldersAbove(plan, machine).flatMap((path) => ['--perms', '0755', '--dir', path]),
    ...machine.shown.flatMap(({ source, target }) => ['--ro-bind', source, target]),
    ...machine.links.flatMap(({ target, to }) => ['--symlink', to, target]),
    ...['--proc', '/proc', '--dev', '/dev'],
    ...[
      ...plan.volumes,
      ...plan.scratch.filter(({ readOnly }) => !readOnly).map(({ target }) => target),
    ].flatMap((target) => ['--perms', '1777', '--tmpfs', target]),
    ...plan.mounts.flatMap(({ source, target, readOnly }) => [
      readOnly ? '--ro-bind' : '--bind',
      source === '/dev/null' ? empty : source,
      target,
    ]),
    ...plan.scratch
      .filter(({ readOnly }) => readOnly)
      .flatMap(({ target }) => ['--perms', '0555', '--tmpfs', target, '--remount-ro', target]),
    ...['--remount-ro', '/', '--chdir', '/sandbox', '--clearenv'],
    ...Object.entries(variables)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .flatMap(([name, value]) => ['--setenv', name, value]),
    ...(descriptors.filter === undefined ? [] : ['--seccomp', String(descriptors.filter)]),
    ...['--info-fd', String(descriptors.info), '--'],
    ...(setpriv === undefined ? [] : becoming(setpriv, user)),
    ...plan.command,
  ]
}

/** Returns the parent folders to create openly: bubblewrap's own would be closed to the plan's user. */
function foldersAbove({ mounts, volumes, scratch }: LaunchPlan, { shown }: Machine): string[] {
  const targets = [...shown, ...mounts, ...scratch].map(({ target }) => target).concat(volumes)
  const isCovered = (path: string): boolean =>
    targets.some((target) => path === target || path.startsWith(`${target}/`))
  const above = targets.flatMap((target) => {
    const names = target.split('/').slice(1, -1)
    return names.map((_, index) => `/${names.slice(0, index + 1).join('/')}`)
  })
  return [...new Set(above)].filter((path) => !isCovered(path)).sort()
}

function becoming(setpriv: string, { uid, gid }: LaunchPlan['user']): string[] {
  const rights = ['--clear-groups', '--inh-caps=-all', '--bounding-set=-all', '--no-new-privs']
  return [setpriv, `--reuid=${uid}`, `--regid=${gid}`, ...rights, '--']
}
