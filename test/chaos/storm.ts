// Load under which everything goes wrong, in an order that a seed decides: nothing is lost, and nothing is left.
import { setTimeout as delay } from 'node:timers/promises'
import { createRandom } from '../support/random.ts'
import { ask, bodyOf } from './ask.ts'
import { strike } from './faults.ts'
import { ChaosThread } from './thread.ts'
import type { Tally } from './verdict.ts'
import { type Held, World } from './world.ts'

const CLIENTS = 5
/** What the clients have for their end when nothing goes wrong any more, and then the runner for letting go of everything. */
const CALM_MS_MAX = 120_000
const REST_MS_MAX = 30_000
const LOOK_MS = 500
/** What only has to do with a start is over by then. */
const SETTLED_MS = 1000

export interface StormOptions {
  seed: number
  /** Rounds of all faults begin within so long; one does in any case. */
  seconds: number
  /** Ends it before. */
  signal: AbortSignal
  tell(line: string): void
}

/** @throws when an event is lost or not what it was, a run does not end, or something is left at the end of a round. */
export async function storm({ seed, seconds, signal, tell }: StormOptions): Promise<Tally> {
  const world = await World.open()
  const total: Tally = { events: 0, ends: {} }
  const faults: string[] = []
  signal.addEventListener('abort', () => world.fail(signal.reason))
  const until = performance.now() + seconds * 1000
  try {
    await new ChaosThread('calm', world, createRandom(seed)).live()
    const atRest = await heldAtRest(world)
    for (let round = 1; round === 1 || performance.now() < until; round += 1) {
      faults.length = 0
      await playRound(world, { round, seed: seed + round, total, onFault: (name) => faults.push(name) })
      const left = await untilAtRest(world, atRest)
      const ends = Object.entries(total.ends).map(([end, count]) => `${count} ${end}`)
      tell(
        `round ${round}, ${faults.length} faults, ${total.events} events, 0 lost, ${left}; runs: ${ends.join(', ')}`,
      )
    }
    await world.end()
    return total
  } catch (error) {
    world.fail(error)
    throw new Error(`behind the faults ${faults.join(', ')}`, { cause: world.signal.reason })
  } finally {
    await world.close()
  }
}

interface Round {
  round: number
  seed: number
  total: Tally
  onFault(name: string): void
}

async function playRound(world: World, { round, seed, total, onFault }: Round): Promise<void> {
  let isOver = false
  let late: NodeJS.Timeout | undefined
  const clients = Array.from({ length: CLIENTS }, async (_, client) => {
    const random = createRandom(seed * 100 + client)
    for (let number = 1; !isOver; number += 1) {
      const thread = new ChaosThread(`round-${round}-client-${client}-${number}`, world, random)
      addTo(total, await thread.live())
    }
  })
  const striking = strike(world, createRandom(seed * 100 + CLIENTS), onFault).finally(() => {
    isOver = true
    late = setTimeout(() => world.fail(new Error('the clients come to no end')), CALM_MS_MAX)
  })
  try {
    await Promise.all([striking, ...clients])
  } finally {
    clearTimeout(late)
  }
}

function addTo(total: Tally, { events, ends }: Tally): void {
  total.events += events
  for (const [end, count] of Object.entries(ends)) total.ends[end] = (total.ends[end] ?? 0) + count
}

/** What the runner holds when it has had work, and has none. */
async function heldAtRest(world: World): Promise<Held> {
  while (world.started().length > 0) await delay(LOOK_MS, undefined, { signal: world.signal })
  await delay(SETTLED_MS, undefined, { signal: world.signal })
  return await world.held()
}

/** Resolves when the runner holds no more than that. */
async function untilAtRest(world: World, atRest: Held): Promise<string> {
  const deadline = performance.now() + REST_MS_MAX
  for (;;) {
    // Before a request, which has timers of its own.
    const held = await world.held()
    const { sessions } = await bodyOf(await ask(`${await world.url()}/sessions`))
    const left = [
      `${sessions.length} threads`,
      `${world.started().length} processes`,
      `${Math.max(0, held.descriptors - atRest.descriptors)} descriptors`,
      `${Math.max(0, held.timers.length - atRest.timers.length)} timers`,
    ]
    const says = `${left.join(', ')} left`
    if (left.every((each) => each.startsWith('0 '))) return says
    if (performance.now() > deadline)
      throw new Error(`at rest: ${says}: ${without(held.timers, atRest.timers).join('\n')}`)
    await delay(LOOK_MS, undefined, { signal: world.signal })
  }
}

/** What `all` has more often. */
function without(all: readonly string[], some: readonly string[]): string[] {
  const left = [...some]
  return all.filter((each) => {
    const at = left.indexOf(each)
    if (at >= 0) left.splice(at, 1)
    return at < 0
  })
}
