// What goes wrong, in an order that a seed decides.
import { setTimeout as delay } from 'node:timers/promises'
import { signalProcess } from '../../src/process-table.ts'
import type { Random } from '../support/random.ts'
import { GATEWAY_FAULTS } from './prompts.ts'
import type { World } from './world.ts'

interface Fault {
  name: string
  /** Resolves when it is over. */
  happen(world: World, random: Random): Promise<void>
}

/** How long a fault lasts, and how long it is until the next. */
const LASTS_MS = 1500
const CALM_MS = 600

const isLikely = (random: Random): boolean => random(2) === 0

function wait(world: World, random: Random, upToMs = LASTS_MS): Promise<void> {
  return delay(random(upToMs), undefined, { signal: world.signal })
}

/** With these a runner's life ends. */
const ENDS: readonly Fault[] = [
  { name: 'runner killed', happen: (world) => world.replaceRunner('SIGKILL') },
  { name: 'runner ended', happen: (world) => world.replaceRunner('SIGTERM') },
  {
    name: 'runner killed on a full disk',
    async happen(world, random) {
      world.fillDisk()
      await wait(world, random)
      await world.replaceRunner('SIGKILL', () => world.freeDisk())
    },
  },
  {
    name: 'runner killed beside a stopped Claude Code',
    async happen(world, random) {
      signalClaude(world, random, 'SIGSTOP')
      await wait(world, random)
      await world.replaceRunner('SIGKILL')
    },
  },
  {
    name: 'runner ended beside a stopped Claude Code',
    async happen(world, random) {
      signalClaude(world, random, 'SIGSTOP')
      await world.replaceRunner('SIGTERM')
    },
  },
]

/** These a runner outlives. */
const PASSES: readonly Fault[] = [
  ...Object.entries(GATEWAY_FAULTS).map(
    ([name, script]): Fault => ({
      name: `gateway ${name}`,
      async happen(world, random) {
        world.failGateway(script)
        await wait(world, random)
        world.mendGateway()
      },
    }),
  ),
  {
    name: 'Claude Code killed',
    happen: async (world, random) => void signalClaude(world, random, 'SIGKILL'),
  },
  {
    name: 'Claude Code stopped',
    async happen(world, random) {
      const pid = signalClaude(world, random, 'SIGSTOP')
      await wait(world, random)
      // Else the runner has to find out.
      if (pid !== undefined && isLikely(random)) signalProcess(pid, 'SIGCONT')
    },
  },
  {
    name: 'disk full',
    async happen(world, random) {
      world.fillDisk()
      await wait(world, random)
      world.freeDisk()
    },
  },
  {
    name: 'runner stopped',
    async happen(world, random) {
      await world.signalRunner('SIGSTOP')
      await wait(world, random)
      await world.signalRunner('SIGCONT')
    },
  },
]

/** Every fault once: at last those that the runner outlives, so that it has something to let go of when they are over. */
export async function strike(world: World, random: Random, onFault: (name: string) => void): Promise<void> {
  for (const { name, happen } of [...shuffled(ENDS, random), ...shuffled(PASSES, random)]) {
    await wait(world, random, CALM_MS)
    onFault(name)
    await happen(world, random)
  }
}

function signalClaude(world: World, random: Random, signal: NodeJS.Signals): number | undefined {
  const pids = world.claudes()
  const pid = pids[random(pids.length)]
  if (pid !== undefined) signalProcess(pid, signal)
  return pid
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const left = [...items]
  return items.flatMap(() => left.splice(random(left.length), 1))
}
