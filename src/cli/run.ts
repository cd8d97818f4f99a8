import { Command, InvalidArgumentError, Option } from 'commander'
import { RunnerError } from '../errors.ts'
import { parseDuration } from '../one-off/duration.ts'
import { Output } from '../one-off/output.ts'
import { printable } from '../printable.ts'
import { TIMER_MS_MAX } from '../timer-limit.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit.ts'
import { addLaunchOptions } from './launch-options.ts'
import { OneOff, type RunFlags } from './one-off-run.ts'
import { withoutSecrets } from './secrets.ts'
import { stopSignal } from './stop-signal.ts'

export function runCommand(context: CliContext): Command {
  return addRunOptions(new Command('run'), context.version)
    .description('Run one prompt and print the answer')
    .action(async (flags: RunFlags, command: Command) => {
      if (flags.here === true) refuseLaunchOptions(command, context.version)
      process.exit(await runAndPrint(context, flags))
    })
}

function addRunOptions(command: Command, version: string): Command {
  const own = command
    .option('-p, --prompt <text>', 'what to do; what is piped in stands behind it')
    .option('--prompt-file <file>', 'the same from a file, or from stdin with -')
    .option('--here', 'in this folder, by this machine, instead of in a container')
    .addOption(new Option('-c, --continue', 'go on with the last thread of this folder').conflicts('thread'))
    .option('--thread <id>', 'go on with this thread, or begin it')
    .option('--model <name>', 'the model, instead of LLM_MODEL')
    .option('--time-limit <duration>', 'interrupt it after 90s, 30m or 2h', toDuration)
    .option('--cost-limit <usd>', 'stop when the model has cost so much', toAmount)
    .option('--json', 'print one JSON object when it is over, instead of the text')
    .option('--events <file>', 'write the AG-UI events there as they come, one JSON object a line')
  return addLaunchOptions(own, version)
}

/** Parses arguments of `run`. @throws CommanderError for wrong ones. */
export function parseRunFlags(args: readonly string[], version: string): RunFlags {
  return addRunOptions(new Command('run'), version).exitOverride().parse(args, { from: 'user' }).opts()
}

/** Refuses options of a launch beside `--here`, which would have no effect. */
function refuseLaunchOptions(command: Command, version: string): void {
  const given = addLaunchOptions(new Command(), version).options.filter(
    (option) => command.getOptionValueSource(option.attributeName()) === 'cli',
  )
  if (given.length === 0) return
  const names = given.map(({ long }) => long).join(', ')
  throw new RunnerError(
    'config_invalid',
    `--here runs on this machine itself, as its environment says: leave out ${names}, or --here.`,
  )
}

/** Runs the prompt. The answer is written to stdout, everything else to stderr. @returns the exit code. */
async function runAndPrint(context: CliContext, flags: RunFlags): Promise<number> {
  // A closed stderr does not matter to the run.
  process.stderr.on('error', () => {})
  const say = (line: string): void => {
    process.stderr.write(`agui-runner: ${printable(line)}\n`)
  }
  const stdout = new Output(process.stdout, (problem) =>
    problem === undefined
      ? oneOff.stop('nobody reads stdout', undefined)
      : oneOff.stop('stdout cannot be written', `stdout cannot be written: ${problem}`),
  )
  const onText = async (text: string): Promise<void> => {
    if (flags.json !== true) await stdout.write(context.isTerminal ? printable(text) : text)
  }
  const oneOff = new OneOff(context, flags, { stdin: process.stdin, say, onText })
  stopSignal(() => oneOff.stop('interrupted', 'interrupting the run; once more leaves at once'))
  const report = flags.dryRun === true ? await oneOff.dryRun() : await oneOff.run()
  if (flags.json === true && report !== undefined)
    await stdout.write(`${await withoutSecrets(JSON.stringify(report), context.env)}\n`)
  await stdout.flush()
  const exitCode = report?.exitCode ?? EXIT.ok
  return exitCode === EXIT.ok && stdout.problem !== undefined ? EXIT.internal : exitCode
}

function toDuration(text: string): number {
  const ms = parseDuration(text)
  if (ms === undefined || ms > TIMER_MS_MAX)
    throw new InvalidArgumentError('Give a number and a unit: 90s, 30m or 2h; at most 555h.')
  return ms
}

function toAmount(text: string): number {
  const usd = /^\d*\.?\d+$/.test(text) ? Number(text) : 0
  if (usd === 0) throw new InvalidArgumentError('Give dollars, such as 0.50.')
  return usd
}
