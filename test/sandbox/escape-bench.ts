// Canaries on this machine that nothing inside may reach, and the folders the attempts are made on.
import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { WebSocketServer } from 'ws'
import { type Authority, createAuthority } from '../../src/tunnel/authority.ts'
import type { Attempt } from './escape-attempts.ts'
import type { HostOrder } from './escape-host.ts'

interface Outcome {
  reached: boolean
  said: string
}

export interface Canaries {
  readonly ports: { http: number; https: number; http6: number; udp: number; openProxy: number }
  readonly authority: Authority
  readonly abstract: string
  listenAt(socketFile: string): Promise<void>
  close(): Promise<void>
}

const HERE = new URL('.', import.meta.url).pathname
const ROOT = new URL('../..', import.meta.url).pathname.replace(/\/$/, '')
/** An ordinary user that owns nothing. */
export const ORDINARY_USER = 12_345
const SANDBOX_USER = 64_998
const HOST_MS_MAX = 150_000

export async function openCanaries(): Promise<Canaries> {
  const authority = createAuthority('upstream of the escape attempts')
  const servers: { close(done: () => void): unknown; closeAllConnections?(): void }[] = []
  const sing: RequestListener = (request, response) => {
    response.end(`CANARY ${request.method} ${request.url} host=${request.headers.host}\n`)
  }
  const listen = async (server: Server, where: { host: string } | { path: string }): Promise<number> => {
    servers.push(server)
    server.listen('host' in where ? { port: 0, ...where } : where)
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }
  const http = await listen(createHttpServer(sing), { host: '127.0.0.1' })
  const http6 = await listen(createHttpServer(sing), { host: '::1' }).catch(() => http)
  const secure = createHttpsServer(
    { SNICallback: (name, done) => done(null, authority.contextFor(name)), ALPNProtocols: ['http/1.1'] },
    sing,
  )
  new WebSocketServer({ server: secure }).on('connection', (socket) => {
    socket.on('message', (data: Buffer) => socket.send(`CANARY ${data}`))
    socket.on('error', () => undefined)
  })
  const https = await listen(secure, { host: '127.0.0.1' })
  const openProxy = await listen(openRelay({ http, https }), { host: '127.0.0.1' })
  const udp = createSocket('udp4')
  udp.on('message', (_text, from) => udp.send('CANARY', from.port, from.address))
  udp.bind(0, '127.0.0.1')
  await once(udp, 'listening')
  const abstract = `agui-escape-${process.pid}`
  const python = await listenAbstract(abstract)
  return {
    ports: { http, http6, https, udp: udp.address().port, openProxy },
    authority,
    abstract,
    async listenAt(socketFile) {
      await listen(createHttpServer(sing), { path: socketFile })
      chmodSync(socketFile, 0o777)
    },
    async close() {
      udp.close()
      python.kill('SIGKILL')
      for (const server of servers) {
        server.closeAllConnections?.()
        await new Promise<void>((resolve) => server.close(() => resolve()))
      }
    },
  }
}

/** A proxy without any rule, whose whole world is the canaries. */
function openRelay({ http, https }: { http: number; https: number }): Server {
  return createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.once('data', (first: Buffer) => {
      const [head] = /^CONNECT .*?\r\n\r\n/s.exec(first.toString('latin1')) ?? []
      if (head === undefined) return pass(socket, http, first)
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      const follow = (data: Buffer): void => pass(socket, data[0] === 0x16 ? https : http, data)
      if (first.length > head.length) follow(first.subarray(head.length))
      else socket.once('data', follow)
    })
  })
}

function pass(socket: Socket, port: number, first: Buffer): void {
  const upstream = connect(port, '127.0.0.1')
  upstream.on('error', () => socket.destroy())
  socket.once('close', () => upstream.destroy())
  upstream.write(first)
  socket.pipe(upstream).pipe(socket)
}

/** Node cannot listen there, Python can. Ends when its stdin does. */
async function listenAbstract(name: string): Promise<ChildProcess> {
  const script = `
import socket, sys, threading
server = socket.socket(socket.AF_UNIX)
server.bind('\\0' + sys.argv[1])
server.listen()
def serve():
    while True:
        client, _ = server.accept()
        client.recv(100)
        client.send(b'CANARY')
        client.close()
threading.Thread(target=serve, daemon=True).start()
print('listening', flush=True)
sys.stdin.read()
`
  const child = spawn('/usr/bin/python3', ['-c', script, name], { stdio: ['pipe', 'pipe', 'ignore'] })
  await once(child.stdout, 'data')
  return child
}

export interface Trial {
  /** Whom the runner is. */
  uid: number
  isBare: boolean
  /** World-readable and writable, such as /tmp. */
  under: string
}

export interface TrialResult {
  outcomes: Record<string, Outcome>
  /** What the sandbox told its owner, and what it counted. */
  denials: { told: number; denied: number; allowed: number }
}

/** Runs every attempt once and removes what they were made on. */
export async function runTrial(
  attempts: readonly Attempt[],
  canaries: Canaries,
  trial: Trial,
): Promise<TrialResult> {
  const directory = mkdtempSync(join(trial.under, 'agui-escape-'))
  const extras = [
    `/tmp/agui-escape-${process.pid}-${trial.uid}`,
    `/dev/shm/agui-escape-${process.pid}-${trial.uid}`,
  ]
  try {
    for (const file of extras) writeFileSync(file, 'outside', { mode: 0o644 })
    await lay(directory, attempts, { canaries, uid: trial.uid })
    const variables = {
      ESC_OUTSIDE: `${directory}/outside`,
      ESC_WORKSPACE: `${directory}/workspace`,
      ESC_STATE: `${directory}/state`,
      ESC_CODE: `${ROOT}/src/runner.ts`,
      ESC_TMP: extras[0] ?? '',
      ESC_SHM: extras[1] ?? '',
      ESC_TCP: String(canaries.ports.http),
      ESC_TCP6: String(canaries.ports.http6),
      ESC_UDP: String(canaries.ports.udp),
      ESC_ABSTRACT: canaries.abstract,
      ESC_PROXY: trial.isBare ? String(canaries.ports.openProxy) : '3128',
      PYTHONDONTWRITEBYTECODE: '1',
    }
    return await runHost(
      {
        isBare: trial.isBare,
        python: '/usr/bin/python3',
        directory,
        policyFile: `${HERE}escape-policy.yaml`,
        wrappers: `${ROOT}/wrappers`,
        ports: canaries.ports,
        upstreamAuthorities: canaries.authority.pem,
        variables,
      },
      trial.uid,
    )
  } finally {
    for (const path of [directory, ...extras]) rmSync(path, { recursive: true, force: true })
  }
}

async function lay(
  directory: string,
  attempts: readonly Attempt[],
  { canaries, uid }: { canaries: Canaries; uid: number },
): Promise<void> {
  chmodSync(directory, 0o755)
  const folders = [
    'outside',
    'outside/open',
    'workspace',
    'workspace/attempts',
    'state',
    'state/store',
    'state/logs',
  ]
  const more = ['state/claude', 'workspace/.git', 'workspace/.git/hooks', 'workspace/.claude']
  for (const name of [...folders, ...more]) mkdirSync(join(directory, name))
  const put = (name: string, text: string): void => writeFileSync(join(directory, name), text)
  put('outside/secret', 'outside')
  put('outside/open/own', 'own')
  put('state/store/data.mdb', 'record')
  put('state/logs/runner.log', 'log line')
  put('workspace/policy.yaml', 'version: 1\n')
  put('workspace/.git/config', '[core]\n\trepositoryformatversion = 0\n')
  put('workspace/.git/HEAD', 'ref: refs/heads/main\n')
  put('workspace/.git/hooks/sample', '')
  put('workspace/.claude/settings.json', '{}')
  put('workspace/.mcp.json', '{}')
  copyFileSync(`${HERE}escape-lib.py`, join(directory, 'workspace/attempts/lib.py'))
  for (const { id, script } of attempts) put(`workspace/attempts/${id}.py`, `from lib import *\n${script}\n`)
  for (const name of ['refs', 'objects']) mkdirSync(join(directory, 'workspace/.git', name))
  if (uid !== process.getuid?.()) spawnedAs(directory, uid)
  chmodSync(join(directory, 'outside/open'), 0o777)
  chownTo(join(directory, 'outside/open/own'), uid === 0 ? SANDBOX_USER : uid)
  await canaries.listenAt(join(directory, 'outside/open/socket'))
}

function spawnedAs(folder: string, uid: number): void {
  for (const name of ['workspace', 'state']) chownDeep(join(folder, name), uid)
}

function chownDeep(path: string, uid: number): void {
  for (const name of readdirSync(path, { recursive: true, encoding: 'utf8' })) chownTo(join(path, name), uid)
  chownTo(path, uid)
}

function chownTo(path: string, uid: number): void {
  if (process.getuid?.() === 0) chownSync(path, uid, uid)
}

async function runHost(order: HostOrder, uid: number): Promise<TrialResult> {
  const child = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), `${HERE}escape-host.ts`, JSON.stringify(order)],
    {
      cwd: '/',
      env: {
        PATH: '/usr/bin:/bin',
        HOME: order.directory,
        AGUI_TOKEN: 'escape-token',
      },
      ...(process.getuid?.() === 0 ? { uid, gid: uid } : {}),
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let said = ''
  let complaint = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), HOST_MS_MAX)
  await once(child, 'close')
  clearTimeout(timer)
  const result = /^RESULT (.*)$/m.exec(said)?.[1]
  if (result === undefined) throw new Error(`the attempts did not run:\n${said}\n${complaint}`)
  const [, told = '0', denied = '0', allowed = '0'] = /^DENIALS (\d+) (\d+) (\d+)$/m.exec(said) ?? []
  return {
    outcomes: JSON.parse(result) as Record<string, Outcome>,
    denials: { told: Number(told), denied: Number(denied), allowed: Number(allowed) },
  }
}
