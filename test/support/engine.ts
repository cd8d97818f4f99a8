// A container engine of the test's own, in a folder that the caller removes, and an image of this machine's programs.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'

export const TEST_IMAGE = 'agui-runner:test'
const REPOSITORY = new URL('../..', import.meta.url).pathname
const CLAUDE = 'node_modules/@anthropic-ai/claude-agent-sdk-linux-x64/claude'
const PROGRAMS = [
  ...[
    'sh',
    'bash',
    'env',
    'cat',
    'mkdir',
    'ps',
    'git',
    'curl',
    'ls',
    'touch',
    'rm',
    'cp',
    'mv',
    'ln',
    'sed',
    'grep',
  ],
  ...['readlink', 'id', 'chmod', 'dirname', 'basename', 'uname', 'head', 'tr', 'cut', 'wc'],
  // What a dev container starts with.
  ...['chown', 'nft', 'setpriv', 'sleep', 'getent'],
]
/** As the client that came with the engine. */
export const DOCKER = '/usr/bin/docker'

export interface TestEngine {
  /** For DOCKER_HOST. */
  host: string
  docker(...args: string[]): string
  close(): Promise<void>
}

/** Why there is no engine here, if there is none. */
export function whyNoEngine(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'the image is for linux/amd64'
  if (process.getuid?.() !== 0) return 'only root can start dockerd'
  const missing = ['dockerd', 'tar', 'ldd'].filter((tool) => spawnSync('which', [tool]).status !== 0)
  return missing.length === 0 ? undefined : `${missing.join(', ')} is not installed (docker.io)`
}

/** Nothing of the machine's network changes: no bridge, no rule, no forwarding. The paths are short, for sockets. */
export async function openEngine(): Promise<TestEngine> {
  const directory = mkdtempSync('/tmp/agui-e-')
  const host = `unix://${directory}/docker.sock`
  const place = (name: string): string => join(directory, name)
  const daemon = spawn(
    'dockerd',
    [
      ...['--data-root', place('data'), '--exec-root', place('x'), '--pidfile', place('pid'), '--host', host],
      ...['--bridge', 'none', '--iptables=false', '--ip6tables=false', '--ip-forward=false'],
    ],
    { env: { PATH: process.env['PATH'] }, stdio: ['ignore', 'ignore', 'pipe'], detached: true },
  )
  const docker = (...args: string[]): string =>
    execFileSync(DOCKER, ['--host', host, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    }).trim()
  /** The daemon itself would wait for each container, and leave the bridges of networks on this machine. */
  const clear = (): void => {
    const containers = docker('ps', '--all', '--quiet')
    if (containers !== '') docker('rm', '--force', '--volumes', ...containers.split('\n'))
    docker('network', 'prune', '--force')
  }
  const close = async (): Promise<void> => {
    if (daemon.exitCode === null && daemon.signalCode === null) {
      const exited = once(daemon, 'exit')
      try {
        clear()
      } catch {
        // It listens no more; what is left is removed with its folder.
      }
      daemon.kill('SIGTERM')
      await exited
    }
    for (const mount of mountsBelow(directory)) spawnSync('umount', [mount])
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    await listening(daemon)
    importImage(host, place('stage'))
  } catch (error) {
    await close()
    throw error
  }
  return { host, docker, close }
}

/** Resolves with the daemon's line that its API listens. */
async function listening(daemon: ReturnType<typeof spawn>): Promise<void> {
  let said = ''
  for await (const chunk of daemon.stderr ?? []) {
    said += String(chunk)
    if (!said.includes('API listen on')) continue
    // What it says later is not read, and must not fill the pipe.
    daemon.stderr?.resume()
    return
  }
  throw new Error(`dockerd ended:\n${said.slice(-2000)}`)
}

function mountsBelow(directory: string): string[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
  return mounts
    .filter((mount) => mount.startsWith(`${directory}/`))
    .sort()
    .reverse()
}

/** What the Dockerfile makes, as far as a run needs it: the programs and libraries are this machine's. */
function importImage(host: string, stage: string): void {
  for (const folder of [
    'sandbox/workspace',
    'run/agui-runner/gateway',
    'run/agui-runner/agent',
    'etc',
    'runner',
    'tmp',
  ])
    mkdirSync(join(stage, folder), { recursive: true })
  chmodSync(join(stage, 'tmp'), 0o1777)
  for (const folder of ['sandbox', 'sandbox/workspace']) chownSync(join(stage, folder), 10001, 0)
  writeFileSync(
    join(stage, 'etc/passwd'),
    'root:x:0:0::/root:/bin/sh\nnode:x:1000:1000::/:/bin/sh\nsandbox:x:10001:10001::/sandbox:/bin/bash\n',
  )
  writeFileSync(join(stage, 'etc/group'), 'root:x:0:\nnode:x:1000:\nsandbox:x:10001:\n')
  mkdirSync(join(stage, 'usr/local/bin'), { recursive: true })
  const claude = '#!/bin/sh\nexec /app/wrappers/openshell-claude-wrapper.sh "$@"\n'
  writeFileSync(join(stage, 'usr/local/bin/claude'), claude, { mode: 0o755 })
  const gitCore = execFileSync('git', ['--exec-path'], { encoding: 'utf8' }).trim()
  const programs = [
    ...PROGRAMS.map((name) => execFileSync('which', [name], { encoding: 'utf8' }).trim()),
    ...['git-remote-http', 'git-remote-https'].map((name) => join(gitCore, name)),
  ]
  const node = realpathSync(process.execPath)
  const binaries = [...programs.map((path) => realpathSync(path)), node, join(REPOSITORY, CLAUDE)]
  const system = [
    ...programs,
    '/bin/sh',
    '/bin/bash',
    '/etc/ssl/certs/ca-certificates.crt',
    ...binaries.flatMap(librariesOf),
  ]
  const here = ['dist', 'wrappers', 'policy.yaml', 'package.json', 'entrypoint.sh', ...modules()]
  const relative = [...new Set(system)].filter((path) => existsSync(path)).map((path) => path.slice(1))
  const tar = [
    ...['--create', '--dereference', '--hard-dereference', '--numeric-owner'],
    ...['--transform', 's,^\\(dist\\|wrappers\\|node_modules\\|package\\.json\\)\\(/\\|$\\),app/\\1\\2,'],
    ...[
      '--transform',
      's,^policy\\.yaml$,etc/openshell/policy.yaml,',
      '--transform',
      's,^entrypoint\\.sh$,runner/entrypoint.sh,',
    ],
    ...['--transform', `s,^${node.slice(1)}$,usr/local/bin/node,`],
    ...['-C', stage, '.', '-C', '/', ...relative, node.slice(1), '-C', REPOSITORY, ...here],
  ]
  const command = ['tar', ...tar].map((word) => `'${word}'`).join(' ')
  // With 1 it says that a file has got another link meanwhile, as other clones of this machine give it.
  const pipe = `set -o pipefail; { ${command} || [ $? = 1 ]; } | ${DOCKER} --host ${host} import --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin' - ${TEST_IMAGE}`
  execFileSync('bash', ['-c', pipe], { stdio: ['ignore', 'ignore', 'inherit'] })
  rmSync(stage, { recursive: true })
}

function librariesOf(binary: string): string[] {
  const { stdout } = spawnSync('ldd', [binary], { encoding: 'utf8' })
  return [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path)
}

const Dependencies = z.record(z.string(), z.string()).optional()
const Lock = z.object({
  packages: z.record(
    z.string(),
    z.object({
      dependencies: Dependencies,
      optionalDependencies: Dependencies,
      peerDependencies: Dependencies,
    }),
  ),
})

/** What the bundle leaves outside, with everything that it needs of that. */
function modules(): string[] {
  const { packages } = Lock.parse(JSON.parse(readFileSync(join(REPOSITORY, 'package-lock.json'), 'utf8')))
  const found = new Set<string>()
  const wanted = ['lmdb', 'prom-client', 'pino', '@anthropic-ai/claude-agent-sdk']
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    const folder = `node_modules/${name}`
    const entry = packages[folder]
    if (entry === undefined || found.has(folder) || /musl|arm64/.test(name)) continue
    if (!existsSync(join(REPOSITORY, folder))) continue
    found.add(folder)
    const { dependencies, optionalDependencies, peerDependencies } = entry
    wanted.push(...Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }))
  }
  return [...found]
}
