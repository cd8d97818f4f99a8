import { containerName, type LaunchPlan } from './plan.ts'

/** This machine, as far as a plan is started from it. */
export interface Machine {
  bwrap: string
  /** Makes an ordinary user of root; undefined where the launcher is one. */
  setpriv: string | undefined
  /** Of the system and this package, what is there and is shown. */
  shown: readonly { source: string; target: string }[]
  /** As in `/bin -> usr/bin`. */
  links: readonly { target: string; to: string }[]
  /** An empty file: a device cannot be bound over another one. */
  empty: string
  /** What bubblewrap reads the system call filter from, and writes to what it has made. */
  descriptors: { filter: number | undefined; info: number }
}

/** Where a plan's programs are found; this machine's Node is in the first. */
const PATH = '/app/bin:/usr/local/bin:/usr/bin:/bin'
/** What setpriv needs, and gives away. */
const OF_ROOT = ['CAP_SETUID', 'CAP_SETGID', 'CAP_SETPCAP']

/** bubblewrap's command line for the plan: the same view as a container's, of this machine's own programs. Pure. */
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
    // Its own network has nothing but loopback: one that leads out would be the machine's.
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

/** bubblewrap makes those for itself alone, and the plan's user may be another. */
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
