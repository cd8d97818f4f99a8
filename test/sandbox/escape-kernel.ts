// Attempts on processes and namespaces.
import type { Row } from './escape-attempts.ts'

export const PROCESSES: Row[] = [
  [
    'P01',
    'see the runner',
    'PID namespace',
    `reached(os.path.exists(f'/proc/{RUNNER}/status') and str(RUNNER) == E['ESC_RUNNER'] and b'node' in read(f'/proc/{RUNNER}/comm'))`,
  ],
  [
    'P02',
    "read the runner's environment (its token)",
    'PID namespace',
    `reached(any(b'escape-token' in read(f'/proc/{p}/environ') for p in os.listdir('/proc') if p.isdigit() and os.access(f'/proc/{p}/environ', os.R_OK)))`,
  ],
  ['P03', 'find the token in the own environment', 'environment', `reached('escape-token' in str(dict(E)))`],
  [
    'P04',
    'send the runner a signal',
    'PID namespace',
    `os.kill(RUNNER, 0); reached(b'node' in read(f'/proc/{RUNNER}/comm'))`,
  ],
  [
    'P05',
    'ptrace another process',
    'seccomp',
    `c = subprocess.Popen(['/bin/sleep', '5']); got = call(101, 117, 16, c.pid, 0, 0); c.kill(); reached(got == 0)`,
  ],
  [
    'P06',
    "read another process's memory",
    'seccomp',
    `c = subprocess.Popen(['/bin/sleep', '5']); b = ctypes.create_string_buffer(8); i = (ctypes.c_uint64 * 2)(ctypes.addressof(b), 8); r = (ctypes.c_uint64 * 2)(4096, 8); call(310, 270, c.pid, i, 1, r, 1, 0); c.kill(); reached(ctypes.get_errno() != 1)`,
  ],
  ['P07', 'open a process by pidfd', 'seccomp', `allowed(434, 434, os.getpid(), 0)`],
  ['P08', 'run a program that is in memory only', 'seccomp', `allowed(319, 279, b'x', 0)`],
  [
    'P09',
    'become root by a setuid program',
    'no_new_privs',
    `reached(b'NoNewPrivs:\\t0' in read('/proc/self/status'))`,
  ],
  [
    'P10',
    'hold a capability',
    'no capabilities',
    `reached(any(int(l.split()[1], 16) != 0 for l in open('/proc/self/status') if l.startswith(('CapEff', 'CapPrm', 'CapInh', 'CapAmb'))))`,
  ],
  [
    'P11',
    'be root',
    'no capabilities',
    `reached(os.getuid() == 0 or os.geteuid() == 0 or 0 in os.getgroups())`,
  ],
  ['P12', 'change its user', 'no capabilities', `os.setuid(0); reached()`],
  [
    'P13',
    "see a host's shared memory segments",
    'IPC namespace',
    `reached(len(open('/proc/sysvipc/shm').read().splitlines()) > 1)`,
  ],
  [
    'P14',
    'push input into a terminal',
    'mount view',
    `import fcntl; a, b = os.openpty(); fcntl.ioctl(b, 0x5412, b'x'); reached()`,
  ],
]

export const NAMESPACES: Row[] = [
  [
    'N01',
    'a new user namespace',
    'seccomp',
    `reached(run('/usr/bin/unshare', '-U', 'true').returncode == 0)`,
  ],
  [
    'N02',
    'a new user and mount namespace',
    'seccomp',
    `reached(run('/usr/bin/unshare', '-Ur', '-m', 'true').returncode == 0)`,
  ],
  [
    'N03',
    'a new user namespace by clone',
    'seccomp',
    `pid = call(56, 220, 0x10000000 | 17, 0, 0, 0, 0); os._exit(0) if pid == 0 else reached(pid > 0)`,
  ],
  [
    'N04',
    'a new namespace by clone3',
    'seccomp',
    `a = ctypes.create_string_buffer(struct.pack('<11Q', 0x10000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)); pid = call(435, 435, a, 88); os._exit(0) if pid == 0 else reached(pid > 0)`,
  ],
  [
    'N05',
    'join the namespace of another process',
    'no capabilities',
    `f = os.open('/proc/self/ns/net', os.O_RDONLY); allowed(308, 268, f, 0); print(ctypes.get_errno())`,
  ],
  [
    'N06',
    'bind mount',
    'no capabilities',
    `reached(libc.mount(b'/usr', WS.encode(), None, 4096, None) == 0)`,
  ],
  ['N07', 'remount / writable', 'no capabilities', `reached(libc.mount(b'none', b'/', None, 32, None) == 0)`],
  [
    'N08',
    'unmount what hides the hooks',
    'no capabilities',
    `reached(libc.umount2((WS + '/.git/hooks').encode(), 2) == 0)`,
  ],
  [
    'N09',
    'the new mount calls',
    'no capabilities',
    `reached(call(428, 428, -100, b'/', 1) >= 0 or call(430, 430, b'tmpfs', 0) >= 0)`,
  ],
  ['N10', 'chroot', 'no capabilities', `os.chroot('/tmp'); reached()`],
  ['N11', 'pivot_root', 'no capabilities', `reached(call(155, 41, b'/', b'/tmp') == 0)`],
  [
    'N12',
    'load a BPF program',
    'no capabilities',
    `allowed(321, 280, 0, ctypes.create_string_buffer(128), 128)`,
  ],
  [
    'N13',
    'perf events',
    'no capabilities',
    `allowed(298, 241, ctypes.create_string_buffer(struct.pack('<II', 1, 112) + bytes(104)), 0, -1, -1, 0)`,
  ],
  ['N14', 'io_uring', 'seccomp', `allowed(425, 425, 4, ctypes.create_string_buffer(120))`],
  ['N15', 'userfaultfd', 'seccomp', `allowed(323, 282, 1)`],
  ['N16', 'the kernel keyring', 'seccomp', `reached(call(250, 219, 0, -3, 0) >= 0)`],
  [
    'N17',
    'bubblewrap inside (a sandbox of its own)',
    'seccomp',
    `reached(run('/usr/bin/bwrap', '--unshare-user', '--ro-bind', '/', '/', 'true').returncode == 0)`,
  ],
  ['N18', 'load a kernel module', 'no capabilities', `reached(call(175, 105, b'', 0, b'') >= 0)`],
]
