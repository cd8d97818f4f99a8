import { randomBytes } from 'node:crypto'
import { Command, InvalidArgumentError, Option } from 'commander'
import { RunnerError } from '../errors.ts'
import { exec } from '../openshell/exec.ts'
import type { Gateway } from '../openshell/gateway-client.ts'
import { putAway } from '../openshell/put-away.ts'
import { findSandbox, stateText } from '../openshell/sandbox.ts'
import { LAUNCH_PACE, launchSandbox } from '../openshell/sandbox-launch.ts'
import { SANDBOX_LABEL } from '../openshell/sandbox-plan.ts'
import { inside, inWorkspace, type SandboxAt, type SandboxName } from '../openshell/service.ts'
import { printableInLine } from '../printable.ts'
import { toWholeNumber } from '../whole-number.ts'
import type { CliContext } from './context.ts'
import { credentialFileOption, withCredentialFile } from './credential-file.ts'
import { EXIT } from './exit.ts'
import { addGatewayOptions, atGateway, collect, type GatewayFlags, parsePort } from './openshell-gateway.ts'
import { checkPolicies, planSandbox, type SandboxFlags, secretValues } from './openshell-plan.ts'

const LINES_MAX = 2000
const LIST_MAX = 1000

/** `agui-runner openshell`: a runner in a sandbox of an OpenShell gateway (docs/openshell.md). */
export function openshellCommand(context: CliContext): Command {
  return new Command('openshell')
    .description('Run in a sandbox of an OpenShell gateway (docs/openshell.md)')
    .exitOverride()
    .addCommand(addLaunchOptions(launchCommand(context), context))
    .addCommand(execCommand(context))
    .addCommand(logsCommand(context))
    .addCommand(stopCommand(context))
}

type AllFlags = SandboxFlags & GatewayFlags & { dryRun?: boolean; credentialFile?: string }

function launchCommand(context: CliContext): Command {
  return new Command('launch')
    .description(
      'Make a sandbox, run the runner in it, and stay until a signal; lines of JSON say what there is',
    )
    .argument('[command...]', 'in the place of /runner/entrypoint.sh')
    .action(async (command: string[], flags: AllFlags) => {
      process.exitCode = await launchAndStay(context, command, flags)
    })
}

function addLaunchOptions(command: Command, { env, version }: CliContext): Command {
  return addGatewayOptions(command, env)
    .option('--name <name>', 'at most 19 characters; one that is there is gone on with')
    .option('--image <reference>', 'as the driver finds it', `agui-runner:${version}`)
    .option('--env <name=value>', 'for every process in the sandbox; no credential; may repeat', collect, [])
    .option(
      '--provider <type>',
      "github, vertex, …, or TYPE=NAME,NAME with variables of this process: a credential that the gateway puts into the sandbox's requests; may repeat",
      collect,
      [],
    )
    .option('--attach <name>', 'a provider that is there; may repeat', collect, [])
    .option(
      '--inference <type>',
      'anthropic, vertex, …: the model of the whole workspace, by this credential',
    )
    .option('--inference-url <url>', 'where that model is, as the sandbox reaches it')
    .option('--model <id>', 'LLM_MODEL')
    .option('--no-verify', 'do not let the gateway ask the model first')
    .option('--policy <file>', "in the place of the image's")
    .option('--rules <file>', 'a policy whose network_policies are added to the one in force')
    .option(
      '--upload <source:folder>',
      "a file, or a folder's content, into a folder; may repeat",
      collect,
      [],
    )
    .option('--driver-config <file>', "JSON, by the driver's name")
    .option(
      '--listen <port-or-path>',
      'where the runner is reached: a port of 127.0.0.1 (0: any), or a socket',
      (text) => (/^\d+$/.test(text) ? parsePort(text) : text),
      0,
    )
    .option('--port <port>', 'of the runner, in the sandbox', parsePort, 8001)
    .addOption(
      new Option('--on-end <what>', 'auto deletes what this launch made and leaves what was there before')
        .choices(['auto', 'delete', 'stop', 'leave'])
        .default('auto'),
    )
    .addOption(credentialFileOption())
    .option('--dry-run', 'print the plan, and ask no gateway')
}

/** @returns the exit code. */
async function launchAndStay(context: CliContext, command: string[], flags: AllFlags): Promise<number> {
  const env = withCredentialFile(context.env, flags.credentialFile)
  const { plan, secrets } = await planSandbox(flags, { command, env })
  if (flags.dryRun === true) {
    process.stdout.write(`${JSON.stringify(plan, null, 2)}\n`)
    return EXIT.ok
  }
  const run = randomBytes(6).toString('hex')
  return await atGateway(flags, { env, secrets: secretValues(secrets) }, async ({ gateway, signal, say }) => {
    await checkPolicies(flags, gateway.release)
    const stopped = new Promise<undefined>((resolve) => {
      signal.addEventListener('abort', () => resolve(undefined), { once: true })
    })
    const launched = await launchSandbox({
      ...{ gateway, plan, secrets, run, signal, say },
      onOutput: (data) => {
        process.stderr.write(data)
      },
      onSandbox: ({ name, phase }, isMade) => print({ msg: isMade ? 'made' : 'found', sandbox: name, phase }),
    })
    print({ msg: 'launched', sandbox: plan.name, address: launched.address })
    const end = await Promise.race([stopped, launched.ended])
    const { state, sentence } = await launched.close()
    print({ msg: 'ended', sandbox: plan.name, state, ...(end !== undefined && 'code' in end ? end : {}) })
    if (end !== undefined && 'failure' in end)
      throw new RunnerError('sandbox_failed', `${end.failure.message.replace(/\.$/, '')}. ${sentence}`)
    say(sentence)
    return end?.code ?? EXIT.ok
  })
}

function execCommand(context: CliContext): Command {
  return addGatewayOptions(new Command('exec'), context.env)
    .description('Run a command in a sandbox; its exit code is this one’s')
    .argument('<name>', 'of the sandbox')
    .argument('<command...>')
    .action(async (name: string, command: string[], flags: GatewayFlags) => {
      const code = await atGateway(flags, context, async ({ gateway, signal }) => {
        const at = await needSandbox(gateway, { name, workspace: flags.workspace }, signal)
        const onOutput = (data: Uint8Array, stream: 'stdout' | 'stderr') => {
          process[stream].write(data)
        }
        return await exec(gateway, { ...inside(at), command }, { signal, onOutput })
      })
      process.exitCode = code
    })
}

function logsCommand(context: CliContext): Command {
  return addGatewayOptions(new Command('logs'), context.env)
    .description('Print what the supervisor and the gateway logged of a sandbox')
    .argument('<name>')
    .option('--lines <count>', 'from the end', parseLines, 200)
    .addOption(
      new Option('--level <level>', 'and above it').choices(['error', 'warn', 'info', 'debug', 'trace']),
    )
    .action(async (name: string, flags: GatewayFlags & { lines: number; level?: string }) => {
      const { workspace, lines, level = '' } = flags
      await atGateway(flags, context, async ({ gateway, signal }) => {
        const at = await needSandbox(gateway, { name, workspace }, signal)
        const request = { ...inside(at), lines, min_level: level }
        for (const line of (await gateway.call('GetSandboxLogs', request, signal)).logs)
          printText(`${new Date(line.at).toISOString()} ${line.source} ${line.level} ${line.message}`)
      })
    })
}

function stopCommand(context: CliContext): Command {
  return addGatewayOptions(new Command('stop'), context.env)
    .description('Delete a sandbox that launch made, and its providers; without a name, list them')
    .argument('[name]')
    .option(
      '--keep',
      'stop it instead: files and providers stay, and `launch --name` goes on (OpenShell 0.0.105)',
    )
    .action(async (name: string | undefined, flags: GatewayFlags & { keep?: boolean }) => {
      const { workspace, keep } = flags
      await atGateway(flags, context, async ({ gateway, signal }) => {
        if (name === undefined) return await printAll(gateway, workspace, signal)
        const found = await findSandbox(gateway, { name, workspace }, signal)
        const { state, sentence } = await putAway(
          gateway,
          { name, workspace },
          {
            ...{ pace: LAUNCH_PACE.sandbox, timeoutMs: LAUNCH_PACE.end, signal },
            decide: () => (keep === true ? 'stop' : 'delete'),
          },
        )
        if (found !== undefined && state === 'none')
          throw new RunnerError('sandbox_failed', `The sandbox ${name} is none of agui-runner's, and stays.`)
        if (state === 'unknown' || state === 'left') throw new RunnerError('sandbox_failed', sentence)
        print({ msg: 'ended', sandbox: name, state })
      })
    })
}

async function printAll(gateway: Gateway, workspace: string, signal: AbortSignal): Promise<void> {
  const request = { limit: LIST_MAX, page_size: LIST_MAX, ...inWorkspace(workspace) }
  const { sandboxes } = await gateway.call('ListSandboxes', request, signal)
  for (const sandbox of sandboxes)
    if (sandbox.labels[SANDBOX_LABEL] !== undefined) printText(`${sandbox.name} ${stateText(sandbox)}`)
}

async function needSandbox(gateway: Gateway, at: SandboxName, signal: AbortSignal): Promise<SandboxAt> {
  const found = await findSandbox(gateway, at, signal)
  if (found !== undefined) return { ...at, id: found.id }
  throw new RunnerError('sandbox_failed', `There is no sandbox ${at.name} here, or it is somebody else's.`)
}

function parseLines(text: string): number {
  const lines = toWholeNumber(text, { min: 1, max: LINES_MAX })
  if (lines === undefined) throw new InvalidArgumentError(`Give 1 to ${LINES_MAX}.`)
  return lines
}

/** Prints what a gateway says as one line. The sandbox has a say in it, and a terminal obeys what it is sent. */
function printText(line: string): void {
  process.stdout.write(`${printableInLine(line)}\n`)
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
