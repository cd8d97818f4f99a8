// Builds the command line that starts a process behind the mounts, in the network namespace, as the given identity.

import type { Mount } from './mount-view.ts'
import type { NetworkNamespace } from './network-namespace.ts'
import { type Identity, isWithin } from './places.ts'
import { SHIFT_SCRIPT } from './shifted-owner.ts'
import type { Tools } from './tools.ts'

export interface LaunchLine {
  command: string
  parameters: string[]
}

export interface LaunchFacts {
  tools: Tools
  identity: Identity
  network: Pick<NetworkNamespace, 'networkPath' | 'userPath'>
  mounts: readonly Mount[]
  cwd: string
  /** Descriptor number of the system call filter in the new process; undefined for none. */
  filter: number | undefined
  /** Descriptor number on which bubblewrap reports what it has made. */
  info: number
  /** An empty folder that every user can reach; undefined unless the runner is root. */
  stage: string | undefined
  /** Root's folders that are shown as the identity's, and the path of the namespace with the mapping. */
  shifted?: { roots: readonly string[]; space: string } | undefined
}

/**
 * Shell script that root runs in its own mount namespace. bubblewrap runs as another user, who cannot reach folders
 * such as /root/x by name, so root first mounts each source where every user can reach it.
 */
const STAGE_SCRIPT = `set -e
mount=$1 mkdir=$2 stage=$3 perl=$4 script=$5 space=$6
shift 6
"$mount" -t tmpfs -o mode=0755,size=1m tmpfs "$stage"
index=0
while [ "$1" != -- ]; do
  if [ "$1" = + ]; then
    # What follows is shown as another user's, by one program for all of it.
    shift
    plain=$index
    for source in "$@"; do
      [ "$source" != -- ] || break
      if [ -d "$source" ]; then "$mkdir" "$stage/$index"; else : >"$stage/$index"; fi
      index=$((index + 1))
    done
    "$perl" -e "$script" "$space" "$stage" "$plain" "$@"
    while [ "$1" != -- ]; do shift; done
    break
  fi
  if [ -d "$1" ]; then "$mkdir" "$stage/$index"; else : >"$stage/$index"; fi
  "$mount" --rbind "$1" "$stage/$index"
  index=$((index + 1))
  shift
done
shift
exec "$@"`

/** Sources that every user can reach by name. */
const PUBLIC = ['/usr', '/lib', '/lib64', '/etc', '/bin', '/sbin', '/dev', '/']

export function toLaunchLine(facts: LaunchFacts, command: string, parameters: readonly string[]): LaunchLine {
  const { tools, identity, network, stage } = facts
  const join = [`--net=${network.networkPath}`]
  if (network.userPath !== undefined) join.push(`--user=${network.userPath}`, '--preserve-credentials')
  if (stage === undefined) {
    const line = [tools.bwrap, ...bwrapOptions(facts), '--', command, ...parameters]
    return { command: tools.nsenter, parameters: [...join, '--', ...line] }
  }
  const staged = stageMounts(facts.mounts, stage, facts.shifted?.roots ?? [])
  const shift = [tools.perl, SHIFT_SCRIPT, facts.shifted?.space ?? '']
  const line = [
    ...[tools.nsenter, ...join, '--'],
    ...[tools.unshare, '--mount', '--propagation', 'private', '--'],
    ...[
      '/bin/sh',
      '-c',
      STAGE_SCRIPT,
      'stage',
      tools.mount,
      tools.mkdir,
      stage,
      ...shift,
      ...staged.sources,
      '--',
    ],
    ...[tools.setpriv, `--reuid=${identity.uid}`, `--regid=${identity.gid}`, '--clear-groups'],
    ...['--inh-caps=-all', '--'],
    ...[tools.bwrap, ...bwrapOptions({ ...facts, mounts: staged.mounts }), '--', command, ...parameters],
  ]
  return { command: tools.nsenter, parameters: line.slice(1) }
}

function stageMounts(
  mounts: readonly Mount[],
  stage: string,
  roots: readonly string[],
): { sources: string[]; mounts: readonly Mount[] } {
  const needs = (mount: Mount): mount is Mount & { source: string } =>
    'source' in mount && mount.kind !== 'device' && !PUBLIC.includes(mount.source)
  const isShifted = (source: string): boolean => roots.some((root) => isWithin(source, root))
  const sources = [...new Set(mounts.filter(needs).map(({ source }) => source))]
  const plain = sources.filter((source) => !isShifted(source))
  const shifted = sources.filter(isShifted)
  const numbers = new Map([...plain, ...shifted].map((source, index) => [source, index]))
  const staged = mounts.map((mount) =>
    needs(mount) ? { ...mount, source: `${stage}/${numbers.get(mount.source)}` } : mount,
  )
  return { sources: shifted.length === 0 ? plain : [...plain, '+', ...shifted], mounts: staged }
}

/** Options for links that shells expect. The links lead into /proc, so they show nothing new. */
const DESCRIPTOR_LINKS = [
  ['/proc/self/fd', '/dev/fd'],
  ['/proc/self/fd/0', '/dev/stdin'],
  ['/proc/self/fd/1', '/dev/stdout'],
  ['/proc/self/fd/2', '/dev/stderr'],
].flatMap(([to = '', name = '']) => ['--symlink', to, name])

function bwrapOptions({ mounts, cwd, filter, info }: LaunchFacts): string[] {
  return [
    ...['--unshare-user', '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
    ...['--die-with-parent', '--cap-drop', 'ALL', '--hostname', 'sandbox'],
    ...mounts.flatMap(toOption),
    ...(mounts.some(({ target }) => target === '/dev' || target === '/') ? [] : DESCRIPTOR_LINKS),
    // The root itself is bubblewrap's tmpfs; nothing that was not mounted may be created in it.
    ...[...mounts.filter(({ kind }) => kind === 'empty').map(({ target }) => target), '/'].flatMap(
      (target) => ['--remount-ro', target],
    ),
    ...(filter === undefined ? [] : ['--seccomp', String(filter)]),
    ...['--info-fd', String(info), '--chdir', cwd],
  ]
}

function toOption(mount: Mount): string[] {
  switch (mount.kind) {
    case 'read':
      return ['--ro-bind', mount.source, mount.target]
    case 'write':
      return ['--bind', mount.source, mount.target]
    case 'device':
      return ['--dev-bind', mount.source, mount.target]
    case 'link':
      return ['--symlink', mount.to, mount.target]
    case 'proc':
      return ['--proc', mount.target]
    case 'memory':
      return ['--perms', '1777', '--tmpfs', mount.target]
    case 'empty':
      return ['--perms', '0755', '--tmpfs', mount.target]
  }
}
