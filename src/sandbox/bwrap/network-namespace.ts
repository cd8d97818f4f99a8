// Opens an empty network namespace whose only open port leads into this process. There is one per runner, and Claude
// Code's processes are started in it.
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { Server } from 'node:net'
import { RunnerError } from '../../errors.ts'
import type { Tools } from './tools.ts'

/** Address of the proxy for processes inside; the port is OpenShell's (openshell.md 3.1). */
export const PROXY_HOST = '127.0.0.1'
export const PROXY_PORT = 3128

export interface NetworkNamespace {
  /** Path of the namespace for nsenter. It names a descriptor of this process, so nothing is inherited. */
  readonly networkPath: string
  /** Path of the user namespace that owns it, likewise; undefined when the runner is root and there is none. */
  readonly userPath: string | undefined
  /** Server that listens inside and accepts in this process, so a connection has its client's own port. */
  readonly listener: Server
  close(): void
}

const OPEN_MS_MAX = 10_000
/**
 * Size of the namespace's own connection table (Linux 6.1). Without it, finding a connection's owner walks the kernel's
 * one table for all namespaces, sized for the whole machine: 4 ms. Half as many ended connections may wait in it
 * (TIME_WAIT), and the walk passes each of them: on loopback they wait for nothing. The setting applies to namespaces
 * made inside.
 */
const CONNECTION_BUCKETS = 64
const OWN_TABLE_SCRIPT = `
echo ${CONNECTION_BUCKETS} 2>/dev/null >/proc/sys/net/ipv4/tcp_child_ehash_entries || :
exec "$@"`
const STDERR_TAIL_CHARS = 500

/** Helper that opens the port inside, hands the listening socket over and ends. Plain JavaScript for `node -e`. */
const HELPER = `
const server = require('node:net').createServer()
server.listen(${PROXY_PORT}, '${PROXY_HOST}', () => process.send({ pid: process.pid }, server))
process.on('message', () => process.exit(0))
process.on('disconnect', () => process.exit(0))
`

/** Opens the namespace. @throws {RunnerError} `policy_not_enforced` with bubblewrap's or the kernel's message. */
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
