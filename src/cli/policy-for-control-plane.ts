import { readFile } from 'node:fs/promises'
import { Command, InvalidArgumentError } from 'commander'
import { isMap, parseDocument } from 'yaml'
import { RunnerError, toMessage } from '../errors.ts'
import { formatProblem, parsePolicy } from '../policy/read/load.ts'
import { parseTarget } from '../tunnel/connect.ts'

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
      const text = await readFile(options.policy, 'utf8').catch((error: unknown) => {
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
    const shared = all.find((one) => endpoints.some(({ host, port }) => `${host}:${port}` === one))
    if (shared !== undefined)
      throw invalid(
        `${shared} is an endpoint of the rule ${rule}, into which the control plane’s rule would be folded`,
      )
  }
  const document = parseDocument(text)
  const rules = document.get('network_policies')
  if (isMap(rules) && rules.has(RULE))
    throw invalid(`${policy} has a rule ${RULE} already; begin with one without`)
  document.setIn(['network_policies', RULE], {
    endpoints: [
      ...endpoint.map(toEndpoint),
      ...tlsEndpoint.map((one) => ({ ...toEndpoint(one), tls: 'skip' })),
    ],
    binaries: [{ path: node }],
  })
  const made = document.toString({ lineWidth: 0 })
  const { problems } = parsePolicy(made, { file: policy })
  const errors = problems.filter(({ severity }) => severity === 'error')
  if (errors.length === 0) return made
  throw new RunnerError(
    'policy_invalid',
    `OpenShell would refuse it:\n${errors.map(formatProblem).join('\n')}`,
  )
}

function toEndpoint(text: string): { host: string; port: number } {
  const target = parseTarget(text)
  if (target === undefined) throw invalid(`${text} is not HOST:PORT`)
  return target
}

function collectTarget(value: string, previous: string[]): string[] {
  const target = parseTarget(value.toLowerCase())
  if (target === undefined)
    throw new InvalidArgumentError(
      'It has to be HOST:PORT, with an exact host: one behind a wildcard may not be an address of the cluster.',
    )
  return [...previous, value.toLowerCase()]
}

function invalid(message: string): RunnerError {
  return new RunnerError('config_invalid', `policy for-control-plane: ${message}.`)
}
