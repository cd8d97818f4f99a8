import { Command, InvalidArgumentError } from 'commander'
import { isMap, parseDocument } from 'yaml'
import { RunnerError, toMessage } from '../errors.ts'
import { decideEgress } from '../policy/decide/egress.ts'
import { portsOf } from '../policy/read/endpoint.ts'
import { formatProblem, parsePolicy, readPolicyText } from '../policy/read/load.ts'
import type { Policy } from '../policy/read/schema.ts'
import { parseTarget, type Target } from '../tunnel/connect.ts'

const RULE = 'control_plane'
const NODE = '/usr/local/bin/node'

interface Options {
  policy: string
  endpoint: string[]
  tlsEndpoint: string[]
  node: string
}

/** `policy for-control-plane`: a deployment's policy, with a rule by which the runner reaches its control plane. */
export function forControlPlaneCommand(defaultFile: string): Command {
  return new Command('for-control-plane')
    .description(
      'Print the policy with a rule for a control plane: exactly the hosts and ports that its own rule names, no more and no fewer, so that OpenShell folds the two into one',
    )
    .option('--endpoint <host:port>', 'reached as it is; may repeat', collectTarget, [])
    .option(
      '--tls-endpoint <host:port>',
      'gRPC over TLS, which is let through unread; may repeat',
      collectTarget,
      [],
    )
    .option('--policy <file>', 'the policy to begin with', defaultFile)
    .option('--node <path>', 'the runner’s binary as the kernel names it', NODE)
    .exitOverride()
    .action(async (options: Options) => {
      const text = await readPolicyText(options.policy).catch((error: unknown) => {
        throw invalid(`cannot read ${options.policy}: ${toMessage(error)}`)
      })
      process.stdout.write(withControlPlane(text, options))
    })
}

/** Adds the rule to the policy's text. Its comments stay. @throws {RunnerError} `config_invalid`, `policy_invalid`. */
export function withControlPlane(text: string, { policy, endpoint, tlsEndpoint, node }: Options): string {
  const all = [...endpoint, ...tlsEndpoint]
  if (all.length === 0) throw invalid('name what the control plane’s own rule names: --endpoint HOST:PORT')
  const twice = all.find((one, index) => all.indexOf(one) !== index)
  if (twice !== undefined) throw invalid(`${twice} is named twice`)
  if (!node.startsWith('/')) throw invalid('--node needs an absolute path')
  const before = parsePolicy(text, { file: policy }).policy?.network_policies ?? {}
  for (const [rule, { endpoints }] of Object.entries(before)) {
    const theirs = endpoints.flatMap((endpoint) =>
      portsOf(endpoint).map((port) => spell({ host: endpoint.host.toLowerCase(), port })),
    )
    const shared = all.find((one) => theirs.includes(one))
    if (shared !== undefined)
      throw invalid(
        `${shared} is an endpoint of the rule ${rule}, into which the control plane’s rule would be folded`,
      )
  }
  const document = parseDocument(text)
  const rules = document.get('network_policies')
  if (isMap(rules) && rules.has(RULE))
    throw invalid(`${policy} has a rule ${RULE} already; begin with one without`)
  // Rules that are all commented out leave a null.
  if (rules === undefined) document.delete('network_policies')
  document.setIn(['network_policies', RULE], {
    endpoints: [
      ...endpoint.map(toEndpoint),
      ...tlsEndpoint.map((one) => ({ ...toEndpoint(one), tls: 'skip' })),
    ],
    binaries: [{ path: node }],
  })
  const made = document.toString({ lineWidth: 0 })
  const { policy: whole, problems } = parsePolicy(made, { file: policy })
  const errors = problems.filter(({ severity }) => severity === 'error')
  if (whole === undefined)
    throw new RunnerError(
      'policy_invalid',
      `OpenShell would refuse it:\n${errors.map(formatProblem).join('\n')}`,
    )
  for (const one of all) checkReached(whole, toEndpoint(one), node)
  return made
}

/** A rule grants no address of this machine, and not every port: OpenShell refuses those whatever a policy says. */
function checkReached(policy: Policy, target: Target, node: string): void {
  const isThisMachine = /(?:^|\.)localhost$/.test(target.host)
  const addresses = isThisMachine ? { addresses: ['127.0.0.1'] } : {}
  const { verdict, reason } = decideEgress(policy, { ...target, ...addresses, binary: node, ancestors: [] })
  if (verdict !== 'allow')
    throw invalid(`OpenShell would let nobody reach ${spell(target)} all the same: ${reason}`)
}

function toEndpoint(text: string): Target {
  const target = parseTarget(text)
  if (target === undefined) throw invalid(`${text} is not HOST:PORT`)
  return target
}

/** In one spelling, so that what is the same is seen to be. */
function collectTarget(value: string, previous: string[]): string[] {
  const target = parseTarget(value.toLowerCase())
  if (target === undefined)
    throw new InvalidArgumentError(
      'It has to be HOST:PORT, with an exact host: one behind a wildcard may not be an address of the cluster.',
    )
  if (target.host.split('.').includes(''))
    throw new InvalidArgumentError(
      'A host is written without a dot at its beginning or end, and without two in a row: OpenShell compares it as a text.',
    )
  return [...previous, spell(target)]
}

function spell({ host, port }: Target): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

function invalid(message: string): RunnerError {
  return new RunnerError('config_invalid', `policy for-control-plane: ${message}.`)
}
