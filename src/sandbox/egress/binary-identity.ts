// Finds the owner of a connection from the kernel's data (openshell.md 1.5): the socket's inode, the processes that
// hold it, their executables and those of their parents. Nothing a process says about itself counts.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** One process that holds the client's end of a connection. */
export interface SocketHolder {
  /** Kernel path of the executable. */
  binary: string
  /** Executables of its ancestors inside, nearest first. */
  ancestors: readonly string[]
  /** Pid of the process that the runner started. */
  root: number
}

interface Process {
  pid: number
  parent: number
  root: number
}

const PROCESSES_MAX = 4096
/** In a line of /proc/net/tcp, between the remote address and the inode. */
const COLUMNS_BETWEEN = 6

/** Returns the processes that hold the connection from `port` to `toPort`; empty when none holds it any more. */
export function holdersOf(
  port: number,
  options: { toPort: number; roots: readonly number[] },
): SocketHolder[] {
  const tree = processTree(options.roots)
  const inode = inodeOf(port, options)
  if (inode === undefined) return []
  const wanted = `socket:[${inode}]`
  const byPid = new Map(tree.map((entry) => [entry.pid, entry]))
  return tree.filter(({ pid }) => holds(pid, wanted)).map((entry) => toHolder(entry, byPid))
}

function toHolder({ pid, parent, root }: Process, byPid: ReadonlyMap<number, Process>): SocketHolder {
  const ancestors: string[] = []
  // bubblewrap stands between the runner and the first process inside; it is no ancestor that a rule can name.
  for (let above = byPid.get(parent); above !== undefined; above = byPid.get(above.parent)) {
    if (above.pid === root || above.parent === root) break
    ancestors.push(executableOf(above.pid))
  }
  return { binary: executableOf(pid), ancestors, root }
}

function processTree(roots: readonly number[]): Process[] {
  const found: Process[] = []
  const waiting = roots.map((pid): Process => ({ pid, parent: 0, root: pid }))
  for (;;) {
    const next = waiting.pop()
    if (next === undefined || found.length >= PROCESSES_MAX) return found
    found.push(next)
    for (const pid of childrenOf(next.pid)) waiting.push({ pid, parent: next.pid, root: next.root })
  }
}

function childrenOf(pid: number): number[] {
  return list(`/proc/${pid}/task`).flatMap((task) =>
    read(`/proc/${pid}/task/${task}/children`)
      .split(' ')
      .filter((text) => text !== '')
      .map(Number),
  )
}

/** Returns the socket's inode. Any process inside shows all sockets; both ports are compared to find the right one. */
function inodeOf(
  port: number,
  { toPort, roots }: { toPort: number; roots: readonly number[] },
): string | undefined {
  const hex = (number: number): string => number.toString(16).toUpperCase().padStart(4, '0')
  // Closed connections stay in the table for a minute, with the inode 0.
  const line = new RegExp(`:${hex(port)} \\w+:${hex(toPort)}(?:\\s+\\S+){${COLUMNS_BETWEEN}}\\s+([1-9]\\d*) `)
  for (const root of roots) {
    for (const table of ['tcp', 'tcp6']) {
      const inode = line.exec(read(`/proc/${root}/net/${table}`))?.[1]
      if (inode !== undefined) return inode
    }
  }
  return undefined
}

function holds(pid: number, socket: string): boolean {
  // A new connection mostly has the highest descriptor.
  const newestFirst = list(`/proc/${pid}/fd`).sort((left, right) => Number(right) - Number(left))
  return newestFirst.some((descriptor) => link(`/proc/${pid}/fd/${descriptor}`) === socket)
}

/** Returns the path of a process's executable; for an ended process, a text that no policy lists. */
function executableOf(pid: number): string {
  return link(`/proc/${pid}/exe`) ?? '(ended)'
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // The process has ended and holds nothing any more.
    return ''
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    // As above.
    return []
  }
}

function link(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    // As above.
    return undefined
  }
}
