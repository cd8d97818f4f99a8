// Lets a process that is not root work in root's workspace: ID-mapped mounts (Linux 5.12, mount_setattr(2)) show root's
// files as the other user's, and files that this user makes belong to root on the disk. No owner is changed.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import type { Identity } from './places.ts'

export interface ShiftedOwner {
  /** Path of the user namespace that holds the mapping; it names a descriptor of this process. */
  readonly path: string
  close(): void
}

const IDS_END = 4_294_967_295
const ROOT_ID = 0

/** Opens a user namespace that maps root to the identity. @param unshare Absolute path of the program. */
export async function openShiftedOwner(unshare: string, { uid, gid }: Identity): Promise<ShiftedOwner> {
  const holder = spawn(unshare, ['--user', '--', '/bin/sh', '-c', 'echo; read line'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {},
  })
  try {
    await firstWord(holder)
    writeFileSync(`/proc/${holder.pid}/uid_map`, mapping(uid))
    writeFileSync(`/proc/${holder.pid}/gid_map`, mapping(gid))
    const descriptor = openSync(`/proc/${holder.pid}/ns/user`, 'r')
    let isOpen = true
    return {
      path: `/proc/${process.pid}/fd/${descriptor}`,
      close() {
        if (isOpen) closeSync(descriptor)
        isOpen = false
      },
    }
  } finally {
    holder.kill('SIGKILL')
  }
}

/** Returns the map: root's files on the disk are `id`'s inside, `id`'s are nobody's, all others stay. */
function mapping(id: number): string {
  const rows = [
    [ROOT_ID, id, 1],
    [1, 1, id - 1],
    [id + 1, id + 1, IDS_END - id - 1],
  ]
  return rows
    .filter(([, , count]) => count !== 0)
    .map((row) => `${row.join(' ')}\n`)
    .join('')
}

async function firstWord(holder: ChildProcess): Promise<void> {
  if (holder.stdout === null) throw new Error('unshare has no pipes')
  const failed = once(holder, 'close').then(([code]) => {
    throw new Error(`unshare --user ended with ${code}`)
  })
  failed.catch(() => undefined)
  await Promise.race([once(holder.stdout, 'data'), failed])
}

/**
 * Perl script that mounts each source, with everything mounted below it, at its target with the namespace's owners.
 * `mount` of util-linux can do so only since 2.39, and Node has no system calls. Arguments: the namespace, the folder
 * of the targets, the number of the first target, the sources up to `--`.
 */
export const SHIFT_SCRIPT = `
use strict;
my ($space, $stage, $index, @sources) = @ARGV;
my ($empty, $open_tree, $move_mount, $mount_setattr) = ("", 428, 429, 442);
open(my $users, '<', $space) or die "user namespace: $!\\n";
for my $source (@sources) {
  last if $source eq '--';
  my $target = "$stage/" . $index++;
  my $tree = syscall($open_tree, -100, $source, 0x1 | 0x8000 | 02000000);
  die "open_tree $source: $!\\n" if $tree < 0;
  my $change = pack('QQQQ', 0x100000, 0, 0, fileno($users));
  syscall($mount_setattr, $tree, $empty, 0x1000 | 0x8000, $change, 32) < 0 and die "ID-mapped mount of $source: $!\\n";
  syscall($move_mount, $tree, $empty, -100, $target, 4) < 0 and die "move_mount $target: $!\\n";
}
`
