import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs'
import { createServer as createHttpsServer } from 'node:https'
import { connect, createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { parsePolicy } from '../../src/policy/read/load.ts'
import { dialAddress } from '../../src/sandbox/egress/upstream.ts'
import { createEnforcement, type Enforcement } from '../../src/sandbox/enforcement.ts'
import { createAuthority } from '../../src/tunnel/authority.ts'
import { listenOnFreePort } from '../../test/support/ports.ts'
import type { Measure, Row } from '../support/measure.ts'
import { compare, interleave, type Pair, spreadOf } from '../support/statistics.ts'
import type { Workshop } from '../support/workshop.ts'

/** Issue 5: what a start and a request may cost more. */
const START_MS_MAX = 150
const REQUEST_MS_MAX = 5
const NEW_INSPECTED_MS_MAX = 1.5
const REQUESTS = 40
const NODE = realpathSync(process.execPath)

export const enforcement: Measure = {
  name: 'enforcement',
  title:
    'Local enforcement: a start and a request inside, beside the same outside through a plain CONNECT proxy',
  run: measure,
}

const POLICY = `
version: 1
filesystem_policy:
  include_workdir: true
  read_only: [/usr, /lib, /lib64, /etc, /proc, /dev/urandom, ${JSON.stringify(dirname(dirname(NODE)))}]
  read_write: [/tmp, /dev/null]
network_policies:
  api:
    endpoints: [{ host: api.example.test, port: 443, protocol: rest, enforcement: enforce, access: read-only }]
    binaries: [{ path: ${JSON.stringify(NODE)} }]
  tunnel:
    endpoints: [{ host: tunnel.example.test, port: 443, tls: skip }]
    binaries: [{ path: ${JSON.stringify(NODE)} }]
`

/** Runs a program and returns what it printed. */
type Run = (command: string, args: readonly string[]) => Promise<string>

interface Sides {
  inside: Run
  outside: Run
  script: string
}

async function measure(workshop: Workshop): Promise<Row[]> {
  const folder = workshop.folder()
  const workspace = join(folder, 'workspace')
  mkdirSync(workspace)
  // Of another user inside when the bench is root's.
  for (const path of [workshop.directory, folder, workspace]) chmodSync(path, 0o755)
  const script = join(workspace, 'client.mjs')
  copyFileSync(fileURLToPath(new URL('../support/egress-client.mjs', import.meta.url)), script)
  const world = await openWorld(folder)
  const sandbox = await openSandbox(folder, world)
  const env = { PATH: '/usr/bin:/bin' }
  const outsideEnv = { ...env, NODE_EXTRA_CA_CERTS: world.authorityFile, HTTPS_PROXY: world.proxyUrl }
  const sides: Sides = {
    script,
    inside: async (command, args) =>
      await output((await sandbox.prepare()).spawn({ command, args, cwd: workspace, env })),
    outside: (command, args) => output(spawn(command, args, { cwd: workspace, env: outsideEnv })),
  }
  try {
    const start = await interleave(workshop.repetitions(20), {
      ours: () => timeOf(() => sides.inside('/usr/bin/env', [])),
      reference: () => timeOf(() => sides.outside('/usr/bin/env', [])),
    })
    const rounds = workshop.repetitions(8)
    return [
      toRow('starting a process', start, START_MS_MAX),
      toRow('a request on a new tunnel, L4', await requests(sides, rounds, 'tunnel'), REQUEST_MS_MAX),
      toRow(
        'a request on a new connection, inspected',
        await requests(sides, rounds, 'api'),
        NEW_INSPECTED_MS_MAX,
      ),
      toRow(
        'a request on an open one, inspected',
        await requests(sides, rounds, 'api', 'kept'),
        REQUEST_MS_MAX,
      ),
    ]
  } finally {
    await sandbox.close()
    world.close()
  }
}

function toRow(label: string, pair: Pair, target: number): Row {
  return {
    label,
    unit: 'ms',
    ...pair,
    against: 'outside, a plain proxy',
    ...compare(pair, 'cost'),
    target: `at most ${target} ms more`,
    pass: pair.ours.median - pair.reference.median <= target,
  }
}

function requests(
  { inside, outside, script }: Sides,
  rounds: number,
  host: string,
  connection = 'new',
): Promise<Pair> {
  const args = [script, `${host}.example.test`, String(REQUESTS), connection]
  const median = async (run: Run): Promise<number> =>
    spreadOf(z.array(z.number()).parse(JSON.parse(await run(NODE, args)))).median
  return interleave(rounds, { ours: () => median(inside), reference: () => median(outside) })
}

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}

async function output(child: ChildProcess): Promise<string> {
  if (child.stdout === null || child.stderr === null) throw new Error('The child has no pipes.')
  const [said, complaint, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ])
  if (code !== 0) throw new Error(`${child.spawnargs.join(' ')} ended (${code}): ${complaint}`)
  return said
}

interface World {
  proxyUrl: string
  authorityFile: string
  authorityPem: string
  port: number
  close(): void
}

/** A server that every name leads to, and a proxy without rules in front of it. */
async function openWorld(folder: string): Promise<World> {
  const authority = createAuthority('upstream of the bench')
  const upstream = createHttpsServer(
    { SNICallback: (name, done) => done(null, authority.contextFor(name)) },
    (_request, response) => void response.end('END\n'),
  )
  const port = await listenOnFreePort(upstream)
  const proxy = createServer((client) => {
    client.on('error', () => client.destroy())
    client.once('data', () => {
      const server = connect(port, '127.0.0.1', () => {
        client.write('HTTP/1.1 200 Connection Established\r\n\r\n')
        client.pipe(server).pipe(client)
      })
      server.on('error', () => client.destroy())
      client.once('close', () => server.destroy())
    })
  })
  const authorityFile = join(folder, 'authority.pem')
  writeFileSync(authorityFile, authority.pem)
  return {
    proxyUrl: `http://127.0.0.1:${await listenOnFreePort(proxy)}`,
    authorityFile,
    authorityPem: authority.pem,
    port,
    close() {
      upstream.close()
      upstream.closeAllConnections()
      proxy.close()
    },
  }
}

async function openSandbox(folder: string, world: World): Promise<Enforcement> {
  const { policy, problems } = parsePolicy(POLICY, { file: 'policy.yaml' })
  if (policy === undefined) throw new Error(JSON.stringify(problems))
  const state = join(folder, 'state')
  const claudeState = join(state, 'claude')
  mkdirSync(claudeState, { recursive: true })
  const sandbox = await createEnforcement({
    policy,
    mode: 'auto',
    // Its tunnels end at the upstream itself.
    env: { NODE_EXTRA_CA_CERTS: world.authorityFile },
    places: {
      workspace: join(folder, 'workspace'),
      state,
      claudeState,
      wrappers: join(folder, 'workspace'),
      claude: undefined,
      hidden: [state],
      frozen: [],
    },
    egress: {
      upstreamAuthorities: world.authorityPem,
      lookup: async () => ['93.184.216.34'],
      dial: (_address, _port, signal) => dialAddress('127.0.0.1', world.port, signal),
    },
  })
  if (sandbox.report.backend !== 'bwrap')
    throw new Error(`Nothing is enforced here: ${JSON.stringify(sandbox.report)}`)
  return sandbox
}
