// Builds a filter for bubblewrap from the system calls that OpenShell's supervisor refuses (openshell.md 3.3). A
// refused call returns an error and kills nothing: a killed probe would take Claude Code with it.

const ERRNO = 0x0005_0000
const ALLOW = 0x7fff_0000
const EPERM = 1
const ENOSYS = 38

const LOAD = 0x20
const JUMP_EQUAL = 0x15
const JUMP_AT_LEAST = 0x35
const JUMP_BITS = 0x45
const RETURN = 0x06

/** Offsets in struct seccomp_data; the low half of an argument comes first on both machines. */
const NUMBER_AT = 0
const MACHINE_AT = 4
const argumentAt = (index: number): number => 16 + 8 * index

/** Bit that marks the x32 form of x86-64's calls. */
const X32_BIT = 0x4000_0000
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const NEW_NAMESPACE_BITS = 0x0002_0000 | 0x7e00_0000
const NEW_TIME_BIT = 0x80
const AT_EMPTY_PATH = 0x1000
const PR_SET_SECCOMP = 22
const TIOCSTI = 0x5412
const TIOCLINUX = 0x541c
const AF_NETLINK = 16
const NETLINK_ROUTE = 0
/** AF_UNIX, AF_INET, AF_INET6. */
const PLAIN_FAMILIES = [1, 2, 10]

interface Machine {
  /** The machine's AUDIT_ARCH_* value. */
  audit: number
  refused: readonly number[]
  clone: number
  clone3: number
  unshare: number
  socket: number
  socketpair: number
  execveat: number
  prctl: number
  ioctl: number
}

/**
 * In this order: ptrace, process_vm_readv, process_vm_writev, memfd_create, mount, umount2, pivot_root, setns, bpf,
 * userfaultfd, perf_event_open, seccomp, add_key, request_key, keyctl, open_by_handle_at, chroot, kexec_load,
 * init_module, finit_module, delete_module, kcmp.
 */
const REFUSED_X64 = [
  101, 310, 311, 319, 165, 166, 155, 308, 321, 323, 298, 317, 248, 249, 250, 304, 161, 246, 175, 313, 176,
  312,
]
const REFUSED_ARM64 = [
  117, 270, 271, 279, 40, 39, 41, 268, 280, 282, 241, 277, 217, 218, 219, 265, 51, 104, 105, 273, 106, 272,
]
/**
 * Calls with the same number on both: pidfd_send_signal, io_uring (3), open_tree, move_mount, fsopen, fsconfig,
 * fsmount, fspick, pidfd_open, pidfd_getfd, process_madvise, mount_setattr, memfd_secret.
 */
const REFUSED_BOTH = [424, 425, 426, 427, 428, 429, 430, 431, 432, 433, 434, 438, 440, 442, 447]

const MACHINES: Partial<Record<NodeJS.Architecture, Machine>> = {
  x64: {
    audit: 0xc000_003e,
    refused: [...REFUSED_X64, ...REFUSED_BOTH],
    clone: 56,
    clone3: 435,
    unshare: 272,
    socket: 41,
    socketpair: 53,
    execveat: 322,
    prctl: 157,
    ioctl: 16,
  },
  arm64: {
    audit: 0xc000_00b7,
    refused: [...REFUSED_ARM64, ...REFUSED_BOTH],
    clone: 220,
    clone3: 435,
    unshare: 97,
    socket: 198,
    socketpair: 199,
    execveat: 281,
    prctl: 167,
    ioctl: 29,
  },
}

type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, value: number]

const refuse = (errno: number): Instruction => [RETURN, 0, 0, ERRNO | errno]
const load = (offset: number): Instruction => [LOAD, 0, 0, offset]

/** Returns the filter as `struct sock_filter[]`; undefined on a machine whose call numbers are not listed. */
export function seccompFilter(machine: NodeJS.Architecture = process.arch): Buffer | undefined {
  const numbers = MACHINES[machine]
  if (numbers === undefined) return undefined
  const program = assemble(numbers)
  const bytes = Buffer.alloc(program.length * 8)
  program.forEach(([code, jumpTrue, jumpFalse, value], index) => {
    bytes.writeUInt16LE(code, index * 8)
    bytes.writeUInt8(jumpTrue, index * 8 + 2)
    bytes.writeUInt8(jumpFalse, index * 8 + 3)
    bytes.writeUInt32LE(value >>> 0, index * 8 + 4)
  })
  return bytes
}

function assemble(numbers: Machine): Instruction[] {
  return [
    load(MACHINE_AT),
    // Calls of another machine have other numbers, so they are refused.
    [JUMP_EQUAL, 1, 0, numbers.audit],
    refuse(EPERM),
    load(NUMBER_AT),
    [JUMP_AT_LEAST, 0, 1, X32_BIT],
    refuse(EPERM),
    ...numbers.refused.flatMap((number): Instruction[] => [[JUMP_EQUAL, 0, 1, number], refuse(EPERM)]),
    // clone3 takes its arguments in memory, where a filter cannot look; libraries fall back to clone.
    [JUMP_EQUAL, 0, 1, numbers.clone3],
    refuse(ENOSYS),
    ...when(numbers.clone, hasBits(0, NEW_NAMESPACE_BITS)),
    ...when(numbers.unshare, hasBits(0, NEW_NAMESPACE_BITS | NEW_TIME_BIT)),
    ...when(numbers.execveat, hasBits(4, AT_EMPTY_PATH)),
    ...when(numbers.prctl, isOneOf(0, [PR_SET_SECCOMP])),
    ...when(numbers.ioctl, isOneOf(1, [TIOCSTI, TIOCLINUX])),
    ...when(numbers.socket, isForeignFamily()),
    ...when(numbers.socketpair, isForeignFamily()),
    [RETURN, 0, 0, ALLOW],
  ]
}

/** Runs `check` for one call only; `check` must end in allow or refuse. */
function when(number: number, check: readonly Instruction[]): Instruction[] {
  return [[JUMP_EQUAL, 0, check.length, number], ...check]
}

function hasBits(argument: number, bits: number): Instruction[] {
  return [load(argumentAt(argument)), [JUMP_BITS, 0, 1, bits], refuse(EPERM), [RETURN, 0, 0, ALLOW]]
}

function isOneOf(argument: number, values: readonly number[]): Instruction[] {
  const checks = values.flatMap((value): Instruction[] => [[JUMP_EQUAL, 0, 1, value], refuse(EPERM)])
  return [load(argumentAt(argument)), ...checks, [RETURN, 0, 0, ALLOW]]
}

function isForeignFamily(): Instruction[] {
  const allow: Instruction = [RETURN, 0, 0, ALLOW]
  const plain = PLAIN_FAMILIES.flatMap((family): Instruction[] => [[JUMP_EQUAL, 0, 1, family], allow])
  return [
    load(argumentAt(0)),
    ...plain,
    [JUMP_EQUAL, 1, 0, AF_NETLINK],
    refuse(EPERM),
    load(argumentAt(2)),
    [JUMP_EQUAL, 0, 1, NETLINK_ROUTE],
    allow,
    refuse(EPERM),
  ]
}
