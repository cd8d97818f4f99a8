// A process that may be another user's: runs the attempts inside the sandbox, or bare, and prints what came of them.
import { type ChildProcess, spawn } from 'node:child_process'
import { loadPolicy } from '../../src/policy/read/load.ts'
import { dialAddress } from '../../src/sandbox/egress/upstream.ts'
import { createEnforcement } from '../../src/sandbox/enforcement.ts'

export interface HostOrder {
  isBare: boolean
  python: string
  directory: string
  policyFile: string
  wrappers: string
  /** Of the canaries; every address that the policy lets through leads to one of them. */
  ports: { http: number; https: number }
  upstreamAuthorities: string
  variables: Record<string, string>
}

const ADDRESSES: Record<string, readonly string[]> = {
  'private.wild.example.test': ['10.0.0.8'],
  'loopback.wild.example.test': ['127.0.0.1'],
  'metadata.wild.example.test': ['169.254.169.254'],
  'mixed.wild.example.test': ['93.184.216.34', '192.168.0.9'],
  'rebound.example.test': ['::ffff:127.0.0.1'],
  'cluster.example.test': ['10.0.0.1'],
}

const order = JSON.parse(process.argv[2] ?? '{}') as HostOrder
const workspace = `${order.directory}/workspace`
const state = `${order.directory}/state`
const request = {
  command: order.python,
  args: [`${workspace}/attempts/lib.py`, `${workspace}/attempts`],
  cwd: workspace,
  env: { PATH: '/usr/bin:/bin', ESC_RUNNER: String(process.pid), ...order.variables },
}

if (order.isBare) {
  await relay(spawn(request.command, request.args, { cwd: workspace, env: request.env }))
} else {
  const enforcement = await createEnforcement({
    policy: await loadPolicy(order.policyFile),
    mode: 'required',
    env: {},
    places: {
      workspace,
      state,
      claudeState: `${state}/claude`,
      wrappers: order.wrappers,
      claude: undefined,
      hidden: [state],
      frozen: [`${workspace}/policy.yaml`],
    },
    egress: {
      upstreamAuthorities: order.upstreamAuthorities,
      lookup: async (host) => ADDRESSES[host] ?? ['93.184.216.34'],
      dial: (_address, port, signal) =>
        dialAddress('127.0.0.1', port === 443 ? order.ports.https : order.ports.http, signal),
    },
  })
  let denials = 0
  const onDenied = (): void => {
    denials += 1
  }
  await relay((await enforcement.prepare()).spawn({ ...request, onDenied }))
  await enforcement.close()
  process.stdout.write(`DENIALS ${denials} ${enforcement.counts.denied} ${enforcement.counts.allowed}\n`)
}

async function relay(child: ChildProcess): Promise<void> {
  child.stdout?.pipe(process.stdout, { end: false })
  child.stderr?.pipe(process.stderr, { end: false })
  await new Promise((resolve) => child.once('close', resolve))
}
