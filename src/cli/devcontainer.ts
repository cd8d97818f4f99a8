import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { relative, resolve, sep } from 'node:path'
import { parseEnv } from 'node:util'
import { Command, InvalidArgumentError } from 'commander'
import { loadConfig } from '../config.ts'
import { Choices } from '../devcontainer/choices.ts'
import type { Wanted } from '../devcontainer/devcontainer-files.ts'
import { RunnerError } from '../errors.ts'
import { loadPolicy } from '../policy/read/load.ts'
import type { CliContext } from './context.ts'
import { stopSignal } from './stop-signal.ts'

const DETECT_MS = 10_000
const POLICY = 'policy.yaml'
/** The exit code of a check that found differences, as with `policy check`. */
const EXIT_DIFFERS = 1

/** `agui-runner devcontainer`: a dev container whose way out is locked and verified (docs/devcontainer.md). */
export function devcontainerCommand(context: CliContext): Command {
  return new Command('devcontainer')
    .description(
      'Write, check and prove a dev container whose only way out is policy.yaml (docs/devcontainer.md)',
    )
    .exitOverride()
    .addCommand(initCommand(context))
    .addCommand(checkCommand())
    .addCommand(verifyCommand())
    .addCommand(proxyCommand(context))
}

interface InitFlags {
  policy?: string
  image?: string
  network?: string
  force?: true
}

function initCommand({ version }: CliContext): Command {
  return new Command('init')
    .description('Write .devcontainer from the policy of this repository; a second time nothing changes')
    .argument('[folder]', "the repository's root", '.')
    .option('--policy <file>', `in that folder; what was chosen before, else ${POLICY}`)
    .option(
      '--image <reference>',
      "the runner's image, or one based on it, by an exact tag or digest",
      valid('image'),
    )
    .option(
      '--network <name>',
      "an engine's network that is there; its default unless given",
      valid('network'),
    )
    .option('--force', 'write over what a person edited, and say so')
    .exitOverride()
    .action(async (folder: string, flags: InitFlags) => {
      const { readRecord, writeFiles } = await import('../devcontainer/devcontainer-folder.ts')
      const root = resolve(folder)
      if (!existsSync(root)) throw new RunnerError('config_invalid', `${root} is not there.`)
      const isForced = flags.force === true
      const before = await readRecord(root).catch((error: unknown) => {
        if (!isForced) throw error
      })
      const choices = {
        policy: policyIn(root, flags.policy ?? before?.policy ?? POLICY),
        image: flags.image ?? before?.image ?? `agui-runner:${version}`,
        network: flags.network ?? before?.network,
      }
      const wanted = await want(root, choices)
      const { changed, overwritten } = await writeFiles(root, { wanted, choices, isForced })
      for (const name of overwritten)
        process.stderr.write(`.devcontainer/${name}: a person's edit was overwritten.\n`)
      for (const name of changed) process.stdout.write(`.devcontainer/${name}: written\n`)
      if (changed.length === 0) process.stdout.write('.devcontainer: nothing to change\n')
    })
}

function checkCommand(): Command {
  return new Command('check')
    .description('Say whether .devcontainer still is what the policy makes; exit 1 when not')
    .argument('[folder]', "the repository's root", '.')
    .exitOverride()
    .action(async (folder: string) => {
      const { findDrift, readRecord } = await import('../devcontainer/devcontainer-folder.ts')
      const root = resolve(folder)
      const record = await readRecord(root)
      if (record === undefined)
        throw new RunnerError(
          'config_invalid',
          `${root} has no dev container of this command: \`agui-runner devcontainer init\` makes it.`,
        )
      const { policy, image, network } = record
      const choices = { policy: policyIn(root, policy), image, network }
      const sentences = await findDrift(root, await want(root, choices), choices)
      if (sentences.length === 0) process.stdout.write(`.devcontainer is what ${policy} makes\n`)
      else fail([...sentences, '`agui-runner devcontainer init` writes it anew.'])
    })
}

function verifyCommand(): Command {
  return new Command('verify')
    .description('Inside the dev container: try that the way out is locked; exit 1 when it is not')
    .exitOverride()
    .action(async () => {
      const { verifyLock } = await import('../devcontainer/verify.ts')
      const { held, problems, notes } = await verifyLock(new AbortController().signal)
      for (const line of held) process.stdout.write(`ok    ${line}\n`)
      for (const line of notes) process.stderr.write(`note  ${line}\n`)
      if (problems.length === 0) process.stdout.write('The way out is locked.\n')
      else
        fail([
          ...problems.map((line) => `FAIL  ${line}`),
          'agui-runner: the way out of this dev container is not locked: do not work in it.',
        ])
    })
}

/** Prints the differences and sets the exit code. The command itself has not failed. */
function fail(lines: readonly string[]): void {
  process.stderr.write(lines.map((line) => `${line}\n`).join(''))
  process.exitCode = EXIT_DIFFERS
}

interface ProxyFlags {
  policy: string
  certificates: string
}

/** The command that the container's entry starts, as the only user whose packets leave. */
function proxyCommand(context: CliContext): Command {
  return new Command('proxy')
    .description("Inside the dev container: the policy's proxy; its environment is read from stdin")
    .requiredOption('--policy <file>', 'what decides')
    .requiredOption('--certificates <folder>', 'where programs find what they have to trust')
    .exitOverride()
    .action(async ({ policy: policyFile, certificates }: ProxyFlags) => {
      const { detectRoute } = await import('../model-route/route.ts')
      const { openContainerBroker } = await import('../broker/container-broker.ts')
      const { POLICY_PROXY_PORT } = await import('../devcontainer/container-places.ts')
      const env = { ...context.env, ...parseEnv(readFileSync(0, 'utf8')) }
      const { wrappersDirectory } = loadConfig(env, context)
      const policy = await loadPolicy(policyFile)
      const route = await detectRoute({ env, wrappersDirectory, signal: AbortSignal.timeout(DETECT_MS) })
      const print = (line: object): void => {
        process.stdout.write(`${JSON.stringify(line)}\n`)
      }
      const stopping = stopSignal(() => undefined)
      const broker = await openContainerBroker({
        ...{ route, env, policy, certificates, port: POLICY_PROXY_PORT },
        onDenied: (what) => print({ msg: 'denied', at: new Date().toISOString(), ...what }),
      })
      print({ msg: 'ready', port: POLICY_PROXY_PORT, model: route.kind })
      await stopping.stopped
      await broker.close()
      process.exit()
    })
}

async function want(root: string, { policy, image, network }: Choices): Promise<Wanted> {
  const file = resolve(root, policy)
  return { policy: await loadPolicy(file), policyText: readFileSync(file, 'utf8'), image, network }
}

/** Returns the policy's path from the root, which the files name for every clone. */
function policyIn(root: string, file: string): string {
  const path = resolve(root, file)
  // A link that leads out is in every clone, and what it leads to in none.
  const isInside = !existsSync(path) || isBelow(realpathSync(root), realpathSync(path))
  if (isInside && isBelow(root, path)) return relative(root, path)
  throw new RunnerError(
    'config_invalid',
    `The policy ${file} is not in ${root}: check could not find it in a clone.`,
  )
}

function isBelow(folder: string, path: string): boolean {
  return path.startsWith(`${folder}${sep}`)
}

function valid(field: 'image' | 'network'): (value: string) => string {
  return (value) => {
    const parsed = Choices.shape[field].safeParse(value)
    if (parsed.success && parsed.data !== undefined) return parsed.data
    throw new InvalidArgumentError(parsed.error?.issues[0]?.message ?? 'It is none.')
  }
}
