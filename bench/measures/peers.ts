import { freePort } from '../../test/support/ports.ts'
import { postRun, untilHealthy } from '../support/client.ts'
import type { Measure, Row } from '../support/measure.ts'
import { SandboxAgent } from '../support/sandbox-agent.ts'
import { compare, interleave, type Pair } from '../support/statistics.ts'
import type { Workshop } from '../support/workshop.ts'

const DELTAS = 20_000
const AGAINST = 'sandbox-agent 0.4.2'
const HEALTH_MS = 60_000

export const peers: Measure = {
  name: 'peers',
  title: `The same mock and Claude Code behind ${AGAINST} (--peers FOLDER)`,
  run: measure,
}

async function measure(workshop: Workshop): Promise<Row[]> {
  if (workshop.peers === undefined) return []
  const place = { peers: workshop.peers, launch: await workshop.launch() }
  const openPeer = async (): Promise<SandboxAgent> => {
    const peer = new SandboxAgent({ ...place, folder: workshop.folder(), port: await freePort() })
    workshop.closeLater(() => peer.close())
    return peer
  }
  const start = await interleave(workshop.repetitions(12), {
    async ours() {
      const port = await freePort()
      const began = performance.now()
      const opening = workshop.runner({ env: { AGUI_PORT: String(port) } })
      await untilHealthy(`http://127.0.0.1:${port}/health`, AbortSignal.timeout(HEALTH_MS))
      const taken = performance.now() - began
      await (await opening).close()
      return taken
    },
    async reference() {
      const peer = await openPeer()
      const began = performance.now()
      await untilHealthy(`${peer.url}/v1/health`, AbortSignal.timeout(HEALTH_MS))
      const taken = performance.now() - began
      await peer.close()
      return taken
    },
  })
  const runner = await workshop.runner()
  const peer = await openPeer()
  await untilHealthy(`${peer.url}/v1/health`, AbortSignal.timeout(HEALTH_MS))
  const session = await peer.session()
  const turns = {
    ours: (prompt: string) => postRun(runner.url, { threadId: 'peer', prompt }),
    reference: (prompt: string) => session.turn(prompt),
  }
  const first = {
    ours: async () => (await turns.ours('hello')).firstMs,
    reference: async () => (await turns.reference('hello')).firstMs,
  }
  // The first two turns of a process are not warm yet.
  await interleave(2, first)
  const warm = await interleave(workshop.repetitions(40), first)
  const delivered: { ours: number; reference: number } = { ours: DELTAS, reference: DELTAS }
  const rateOf = (side: keyof typeof turns) => async (): Promise<number> => {
    const { deltas, lastMs } = await turns[side](`stream ${DELTAS}`)
    delivered[side] = Math.min(delivered[side], deltas)
    return (deltas / lastMs) * 1000
  }
  const rate = await interleave(workshop.repetitions(8), {
    ours: rateOf('ours'),
    reference: rateOf('reference'),
  })
  await Promise.all([runner.close(), peer.close()])
  return [
    rowOf('spawn to /health 200', 'ms', start, 'cost'),
    rowOf('warm turn: prompt to the first text', 'ms', warm, 'cost'),
    rowOf(`${DELTAS} deltas, one SSE reader`, '/s', rate, 'rate'),
    { label: 'of them came, the least', unit: 'deltas', ...delivered, against: AGAINST },
  ]
}

function rowOf(label: string, unit: string, pair: Pair, kind: 'cost' | 'rate'): Row {
  return { label, unit, ...pair, against: AGAINST, ...compare(pair, kind) }
}
