// Starts an assembled image as a sandbox would: as some user, on a read-only root, by an exec of the control plane.
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { BWRAP, type Image, rootMounts } from './image-tree.ts'

export interface SandboxOptions {
  /** Holds what the sandbox may write; the caller removes it. */
  directory: string
  /** As `setpriv` has them. */
  user: { reuid: string; regid: string }
  /** The supervisor's CA and bundle. */
  ca: { caFile: string; caBundleFile: string }
}

export interface Sandbox {
  /** What lies in /sandbox and /tmp, on this machine. */
  readonly home: string
  readonly tmp: string
  /** Runs a command to its end. */
  run(command: readonly string[]): string
  /** As the control plane does: one string for a login shell, which carries the exec's own environment. */
  exec(script: string, env: Readonly<Record<string, string>>): SandboxProcess
}

interface SandboxProcess {
  /** The address in the server's first line; rejects when it ends before. */
  readonly listening: Promise<string>
  readonly exited: Promise<number | string>
  /** Milliseconds since the start. */
  age(): number
  output(): string
  /** To the server itself, not to what holds it. */
  signal(name: NodeJS.Signals): void
  /** Ends everything that is in there. */
  kill(): Promise<void>
}

/** Makes the folders anew from the image's. */
export function openSandbox(image: Image, { directory, user, ca }: SandboxOptions): Sandbox {
  const [home, tmp, tls] = ['sandbox', 'tmp', 'tls'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ]
  for (const folder of [directory, tmp, tls]) mkdirSync(folder)
  chmodSync(tmp, 0o1777)
  execFileSync('cp', ['-a', join(image.root, 'sandbox'), home])
  cpSync(ca.caFile, join(tls, 'openshell-ca.pem'))
  cpSync(ca.caBundleFile, join(tls, 'ca-bundle.pem'))
  // The supervisor is root and makes it before anything runs.
  mkdirSync(join(image.root, 'etc/openshell-tls'), { recursive: true })

  const { reuid, regid } = user
  const groups = /^\d+$/.test(reuid) ? '--clear-groups' : '--init-groups'
  const inside = (env: Readonly<Record<string, string>>, command: readonly string[]): string[] => [
    ...['--die-with-parent', '--new-session', '--unshare-pid', '--unshare-ipc', '--clearenv'],
    ...rootMounts(image.root, 'read'),
    ...['--bind', home, '/sandbox', '--bind', tmp, '/tmp', '--ro-bind', tls, '/etc/openshell-tls'],
    ...Object.entries(env).flatMap(([name, value]) => ['--setenv', name, value]),
    ...['--chdir', image.workdir, '--', 'setpriv', '--reuid', reuid, '--regid', regid, groups],
    ...['--no-new-privs', '--bounding-set', '-all', '--inh-caps', '-all', '--', ...command],
  ]
  // An exec's environment is cleared; of the image's, PATH alone gets through.
  const bare = { PATH: image.env['PATH'] ?? '', HOME: '/sandbox', SHELL: '/bin/bash', TERM: 'dumb' }
  return {
    home,
    tmp,
    run: (command) => execFileSync(BWRAP, inside(bare, command), { encoding: 'utf8', input: '' }),
    exec(script, env) {
      const words = Object.entries(env).map(([name, value]) => `${name}='${value}'`)
      return startProcess(inside(bare, ['/bin/bash', '-lc', [...words, script].join(' ')]))
    },
  }
}

function startProcess(args: readonly string[]): SandboxProcess {
  const start = performance.now()
  const child = spawn(BWRAP, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin.end()
  const lines: string[] = []
  child.stderr.setEncoding('utf8').on('data', (text: string) => lines.push(text))
  const exited = new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? -1))
  })
  const listening = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line)
      if (line.startsWith('{')) {
        const { msg, url } = JSON.parse(line)
        if (msg === 'listening') resolve(url)
      }
    })
    void exited.then((code) =>
      reject(new Error(`ended with ${code} before it listened:\n${lines.join('\n')}`)),
    )
  })
  return {
    listening,
    exited,
    age: () => performance.now() - start,
    output: () => lines.join('\n'),
    // bwrap holds a process that reaps, and that holds ours.
    signal: (name) => void process.kill(onlyChildOf(onlyChildOf(child.pid)), name),
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

function onlyChildOf(pid: number | undefined): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
  if (children.length !== 1) throw new Error(`process ${pid} has not one child but ${children}`)
  return Number(children[0])
}
