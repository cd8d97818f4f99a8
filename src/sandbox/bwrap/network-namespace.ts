// An empty network namespace whose one open port leads into this process. Made once per runner: Claude Code's
// processes are started into it.
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { Server } from 'node:net'
import { RunnerError } from '../../errors.ts'
import type { Tools } from './tools.ts'

/** Where processes inside find the proxy; the port is OpenShell's (openshell.md 3.1). */
export const PROXY_HOST = '127.0.0.1'
export const PROXY_PORT = 3128

export interface NetworkNamespace {
  /** Paths that nsenter opens; they name descriptors of this process, so nothing is inherited. */
  readonly networkPath: string
  /** Of the user namespace that owns it; undefined when the runner is root and there is none. */
  readonly userPath: string | undefined
  /** Listens inside; accepts in this process, so a connection has its client's own port. */
  readonly listener: Server
  close(): void
}

const OPEN_MS_MAX = 10_000
/**
 * The kernel walks its whole table of connections, one for all namespaces and as large as the machine, to say whose
 * one of them is: 4 ms. A namespace made inside one with this setting (Linux 6.1) has a table of its own.
 */
const CONNECTION_BUCKETS = 1024
const OWN_TABLE_SCRIPT = `
echo ${CONNECTION_BUCKETS} 2>/dev/null >/proc/sys/net/ipv4/tcp_child_ehash_entries || :
exec "$@"`
const STDERR_TAIL_CHARS = 500

/** Runs inside for a moment: opens the port and hands the listening socket over. Plain JavaScript for `node -e`. */
const HELPER = `
const server = require('node:net').createServer()
server.listen(${PROXY_PORT}, '${PROXY_HOST}', () => process.send({ pid: process.pid }, server))
process.on('message', () => process.exit(0))
process.on('disconnect', () => process.exit(0))
`

/** @throws {RunnerError} `policy_not_enforced` with what bubblewrap or the kernel said. */
export async function openNetworkNamespace({ bwrap, unshare }: Tools): Promise<NetworkNamespace> {
  const uid = process.getuid?.() ?? 0
  const isRoot = uid === 0
  const helper = spawn(
    unshare,
    [
      ...['--net', ...(isRoot ? [] : ['--user', '--map-root-user'])],
      ...['--', '/bin/sh', '-c', OWN_TABLE_SCRIPT, 'sh', bwrap],
      ...(isRoot ? [] : ['--unshare-user', '--uid', String(uid), '--gid', String(process.getgid?.() ?? uid)]),
      // bubblewrap brings the loopback device up, which Node cannot.
      ...['--unshare-net', '--die-with-parent', '--dev-bind', '/', '/'],
      ...['--', process.execPath, '-e', HELPER],
    ],
    { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], env: {} },
  )
  try {
    const { pid, listener } = await handedOver(helper)
    const network = openSync(`/proc/${pid}/ns/net`, 'r')
    const user = isRoot ? undefined : openSync(`/proc/${pid}/ns/user`, 'r')
    const pathOf = (descriptor: number): string => `/proc/${process.pid}/fd/${descriptor}`
    let isOpen = true
    return {
      networkPath: pathOf(network),
      userPath: user === undefined ? undefined : pathOf(user),
      listener,
      close() {
        if (!isOpen) return
        isOpen = false
        listener.close()
        closeSync(network)
        if (user !== undefined) closeSync(user)
      },
    }
  } finally {
    // The descriptors hold the namespaces from here on.
    if (helper.connected) helper.disconnect()
    else helper.kill('SIGKILL')
  }
}

function handedOver(helper: ChildProcess): Promise<{ pid: number; listener: Server }> {
  return new Promise((resolve, reject) => {
    let said = ''
    const fail = (reason: string): void => {
      clearTimeout(timer)
      reject(new RunnerError('policy_not_enforced', `A network namespace could not be opened: ${reason}`))
    }
    const timer = setTimeout(() => {
      helper.kill('SIGKILL')
      fail(`nothing came within ${OPEN_MS_MAX} ms`)
    }, OPEN_MS_MAX)
    helper.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-STDERR_TAIL_CHARS)
    })
    helper.once('error', (error) => fail(error.message))
    helper.once('close', (code) => fail(said.trim() || `bwrap ended with ${code}`))
    helper.once('message', (message, handle) => {
      const pid = typeof message === 'object' && 'pid' in message ? message.pid : undefined
      if (typeof pid !== 'number' || !(handle instanceof Server)) return fail('the helper sent no socket')
      clearTimeout(timer)
      resolve({ pid, listener: handle })
    })
  })
}
