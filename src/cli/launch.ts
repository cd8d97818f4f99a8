import { tmpdir } from 'node:os'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { EngineKind } from '../launch/arguments.ts'
import { Engine } from '../launch/engine.ts'
import { launch } from '../launch/launch.ts'
import { type LaunchSettings, prepareLaunch, thisLauncher } from '../launch/prepare.ts'
import { sweep } from '../launch/sweep.ts'
import { parseDuration } from '../one-off/duration.ts'
import { printable, printableInLine } from '../printable.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit.ts'
import { addLaunchOptions, type LaunchFlags, launchOptionsOf } from './launch-options.ts'
import { stopSignal } from './stop-signal.ts'

export function sweepCommand(context: CliContext): Command {
  return new Command('sweep')
    .description('Remove what a launch that was killed has left: containers, networks, folders')
    .option('--run <id>', 'of that run, also when it is under way')
    .option('--older-than <duration>', 'also of launches that live, when they are older: 2h', (text) => {
      const ms = parseDuration(text)
      if (ms === undefined) throw new InvalidArgumentError('Give a number and a unit: 90s, 30m or 2h.')
      return ms
    })
    .addOption(new Option('--engine <name>', 'docker or podman').choices(['docker', 'podman']))
    .action(async (flags: { run?: string; olderThan?: number; engine?: EngineKind }) => {
      const { env } = context
      const engine =
        flags.engine === undefined ? await Engine.find(undefined, env) : await Engine.need(flags.engine, env)
      if ('lacking' in engine)
        process.stderr.write(`agui-runner: ${engine.lacking} Folders are swept alone.\n`)
      const swept = await sweep('lacking' in engine ? undefined : engine, {
        run: flags.run,
        olderThanMs: flags.olderThan,
        parent: tmpdir(),
        path: env['PATH'],
      })
      for (const { kind, name } of swept) process.stdout.write(`${kind} ${printableInLine(name)}\n`)
    })
}

export function launchCommand(context: CliContext): Command {
  const command = new Command('launch').description(
    'Start a runner in a container, or a process without a network, and stay until a signal; one JSON line says where it is',
  )
  return addLaunchOptions(command, context.version).action(async (flags: LaunchFlags) => {
    process.exit(await launchAndStay(context, flags))
  })
}

/** @returns the exit code. */
async function launchAndStay(context: CliContext, flags: LaunchFlags): Promise<number> {
  const say = (line: string): void => {
    process.stderr.write(`agui-runner: ${printable(line)}\n`)
  }
  const stopping = stopSignal(() => say('stopping'))
  const { signal } = stopping
  const options = await launchOptionsOf({ context, flags, signal, say })
  if (flags.dryRun === true) {
    await printDry(options)
    return EXIT.ok
  }
  try {
    const launched = await launch(options)
    const { run, mode } = options
    process.stdout.write(`${JSON.stringify({ msg: 'launched', run, mode, socket: launched.socket })}\n`)
    const end = await Promise.race([stopping.stopped.then(() => undefined), launched.ended])
    await launched.close()
    if (end !== undefined) throw end
  } catch (error) {
    // An aborted start fails in many ways, and none of the errors is the reason.
    if (!signal.aborted) throw error
  }
  return EXIT.ok
}

/** Prints the plan and its commands. The folders that the plan names are made for it, and removed. */
export async function printDry(options: LaunchSettings): Promise<void> {
  const { plan, place, remove } = await prepareLaunch(options, thisLauncher())
  await remove()
  process.stdout.write(`${JSON.stringify({ plan, argv: place.commands }, null, 2)}\n`)
}
