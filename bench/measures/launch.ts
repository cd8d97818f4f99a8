import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync } from 'node:fs'
import { openEngine, TEST_IMAGE, whyNoEngine } from '../../test/support/engine.ts'
import type { Measure, Row } from '../support/measure.ts'
import { compare, interleave } from '../support/statistics.ts'
import type { Workshop } from '../support/workshop.ts'

const MORE_MS_MAX = 2500
const PRIVATE = ['--mode', 'private', '--workspace', 'none']

export const launch: Measure = {
  name: 'launch',
  title: 'A private launch: from the command to the first delta (the container is of `dist`)',
  run: measure,
}

async function measure(workshop: Workshop): Promise<Row[]> {
  const here = { args: ['--here'], env: { POLICY_ENFORCEMENT: 'off', PERMISSION_MODE: 'ask' } }
  const rows = [await rowOf(workshop, 'process', { args: ['--isolation', 'process', ...PRIVATE] }, here)]
  const missing = whyNoEngine()
  if (missing !== undefined) {
    console.error(`launch: no container is measured, for ${missing}`)
    return rows
  }
  const engine = await openEngine()
  try {
    const args = ['--engine', 'docker', '--image', TEST_IMAGE, ...PRIVATE]
    rows.unshift(await rowOf(workshop, 'container', { args, env: { DOCKER_HOST: engine.host } }, here))
  } finally {
    await engine.close()
  }
  return rows
}

interface Start {
  args: string[]
  env?: Record<string, string>
}

async function rowOf(workshop: Workshop, label: string, ours: Start, reference: Start): Promise<Row> {
  const pair = await interleave(workshop.repetitions(8), {
    ours: () => firstDelta(workshop, ours),
    reference: () => firstDelta(workshop, reference),
  })
  return {
    ...{ label, unit: 'ms', against: 'the same with --here', ...pair, ...compare(pair, 'cost') },
    target: `at most ${MORE_MS_MAX} ms more`,
    pass: pair.ours.median - pair.reference.median <= MORE_MS_MAX,
  }
}

/** Milliseconds until the answer begins; the run is waited for. */
async function firstDelta(workshop: Workshop, { args, env = {} }: Start): Promise<number> {
  const folder = workshop.folder()
  if (process.getuid?.() === 0) chownSync(folder, 10001, 0)
  const began = performance.now()
  const child = spawn(process.execPath, [workshop.main, 'run', ...args, '--prompt', 'hello'], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'] ?? '',
      ...{ HOME: workshop.folder(), TMPDIR: workshop.directory },
      ...{ ANTHROPIC_BASE_URL: workshop.modelUrl, ANTHROPIC_API_KEY: 'no-real-key-0123456789' },
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const exited = once(child, 'close')
  let firstMs: number | undefined
  for await (const _ of child.stdout) firstMs ??= performance.now() - began
  const [code] = await exited
  if (code !== 0 || firstMs === undefined)
    throw new Error(`run ${args.join(' ')} ended with ${code}: ${said}`)
  return firstMs
}
