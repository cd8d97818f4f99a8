import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { toMessage } from '../errors.ts'
import { PACKAGE_DIRECTORY } from '../package-directory.ts'
import type { Decision, FileOperation } from '../policy/decide/decision.ts'
import { decideEgress } from '../policy/decide/egress.ts'
import { decideFile } from '../policy/decide/file-access.ts'
import { formatProblem, loadPolicy, parsePolicy, readPolicyText } from '../policy/read/load.ts'
import { PolicyError } from '../policy/read/policy-error.ts'
import { formatRelease, parseRelease, RELEASE_DEFAULT, type Release } from '../policy/read/release.ts'
import { toWholeNumber } from '../whole-number.ts'
import { forControlPlaneCommand } from './policy-for-control-plane.ts'

const IMAGE_POLICY = '/etc/openshell/policy.yaml'
const EXIT_INVALID = 1
const EXIT_USAGE = 2
const EXIT_DENIED = 3

/**
 * `policy check`, `policy explain` (contract section 1) and `policy for-control-plane`. `defaultFile` is the policy
 * when none is named: the image's, else this package's. Wrong usage throws CommanderError after its message was printed.
 */
export function policyCommand(defaultFile = findPolicy()): Command {
  return new Command('policy')
    .description('Check an OpenShell policy, or ask it about one access')
    .exitOverride()
    .addCommand(checkCommand(defaultFile))
    .addCommand(explainCommand(defaultFile))
    .addCommand(forControlPlaneCommand(defaultFile))
}

function findPolicy(): string {
  return existsSync(IMAGE_POLICY) ? IMAGE_POLICY : join(PACKAGE_DIRECTORY, 'policy.yaml')
}

interface CheckOptions {
  json?: true
  fileMode?: true
  openshell?: Release
}

function checkCommand(defaultFile: string): Command {
  return new Command('check')
    .description('Report what OpenShell would refuse, one line per problem: FILE:LINE:COL: message')
    .argument('[file]', 'the policy', defaultFile)
    .option('--json', 'print one JSON object')
    .option('--file-mode', "follow openshell-sandbox --policy-data, not the gateway's strict loader")
    .option(
      '--openshell <version>',
      `whose loader reads it (${formatRelease(RELEASE_DEFAULT)}); 0.1.0 refuses what older ones let pass`,
      readRelease,
    )
    .exitOverride()
    .action(check)
}

async function check(file: string, options: CheckOptions): Promise<void> {
  const text = await readPolicyText(file).catch((error: unknown) => {
    process.stderr.write(`cannot read ${file}: ${toMessage(error)}\n`)
  })
  if (text === undefined) {
    process.exitCode = EXIT_INVALID
    return
  }
  const mode = options.fileMode === true ? 'file' : 'typed'
  const release = options.openshell ?? RELEASE_DEFAULT
  const { policy, problems } = parsePolicy(text, { file, mode, release })
  const isValid = policy !== undefined
  if (options.json === true) print(JSON.stringify({ file, mode, valid: isValid, problems }))
  else print([...problems.map(formatProblem), ...(isValid ? [`${file}: valid`] : [])].join('\n'))
  process.exitCode = isValid ? 0 : EXIT_INVALID
}

function readRelease(text: string): Release {
  const release = parseRelease(text)
  if (release === undefined) throw new InvalidArgumentError('A version is 0.0.83, v0.1.5 or 0.1.')
  return release
}

interface ExplainOptions {
  policy: string
  host?: string
  port?: number
  method?: string
  path?: string
  binary?: string
  ancestor: string[]
  ip: string[]
  file?: string
  op?: FileOperation
  json?: true
}

function explainCommand(defaultFile: string): Command {
  return new Command('explain')
    .description('Say whether the policy allows one connection, request or file access, and why')
    .option('--policy <file>', 'the policy to ask', defaultFile)
    .option('--host <name>', 'destination host')
    .option('--port <n>', 'destination port', parsePort)
    .option('--method <name>', 'HTTP method; without it the question is the connection alone')
    .option('--path <target>', 'request target, query included')
    .option('--binary <path>', 'executable that connects; without it any listed binary counts')
    .option('--ancestor <path>', 'a parent of that process, nearest first; may repeat', collect, [])
    .option('--ip <address>', 'what the host resolves to; may repeat', collect, [])
    .option('--file <path>', 'ask about a file instead')
    .addOption(new Option('--op <operation>', 'what is done to the file').choices(['read', 'write', 'exec']))
    .option('--json', 'print one JSON object')
    .exitOverride()
    .action(explain)
}

function collect(value: string, previous: string[]): string[] {
  return [...previous, value]
}

function parsePort(text: string): number {
  const port = toWholeNumber(text, { min: 1, max: 65_535 })
  if (port === undefined) throw new InvalidArgumentError('A port is a number from 1 to 65535.')
  return port
}

async function explain(options: ExplainOptions, command: Command): Promise<void> {
  const ask = toQuestion(options)
  if (typeof ask === 'string') return command.error(`error: ${ask}`, { exitCode: EXIT_USAGE })
  try {
    const decision = ask(await loadPolicy(options.policy))
    print(options.json === true ? JSON.stringify(decision) : formatDecision(decision))
    process.exitCode = decision.verdict === 'deny' ? EXIT_DENIED : 0
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = EXIT_INVALID
  }
}

type Question = (policy: Awaited<ReturnType<typeof loadPolicy>>) => Decision

/** Returns the question that the options ask, or what is wrong with them. */
function toQuestion(options: ExplainOptions): Question | string {
  const { file, op, host, port, method, path, binary, ancestor, ip } = options
  if (file !== undefined) {
    if (host !== undefined) return 'ask about either --file or --host'
    if (op === undefined) return '--file needs --op read, write or exec'
    if (!file.startsWith('/')) return '--file needs an absolute path'
    return (policy) => decideFile(policy, { path: file, op })
  }
  if (host === undefined || port === undefined) return 'give --host and --port, or --file and --op'
  if (path !== undefined && method === undefined) return '--path needs --method'
  if (ancestor.length > 0 && binary === undefined) return '--ancestor needs --binary'
  const addresses = ip.length === 0 ? undefined : ip
  return (policy) =>
    decideEgress(policy, { host, port, method, path, binary, ancestors: ancestor, addresses })
}

function formatDecision({ verdict, rule, stage, reason }: Decision): string {
  return [verdict, `rule: ${rule ?? 'none'}`, `stage: ${stage}`, `reason: ${reason}`].join('\n')
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
