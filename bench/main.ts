// `npm run bench [name…] [-- --quick] [--json] [--app FOLDER] [--against FOLDER] [--peers FOLDER] [--chart FILE]`: our figures, each beside a reference taken in the same run.
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { toMessage } from '../src/errors.ts'
import { broker } from './measures/broker.ts'
import { coldRun } from './measures/cold-run.ts'
import { consolePage } from './measures/console-page.ts'
import { cpuPerEvent } from './measures/cpu-per-event.ts'
import { doorUnderLoad } from './measures/door-under-load.ts'
import { enforcement } from './measures/enforcement.ts'
import { fanOut } from './measures/fan-out.ts'
import { growth } from './measures/growth.ts'
import { idleMemory } from './measures/idle-memory.ts'
import { launch } from './measures/launch.ts'
import { longThread } from './measures/long-thread.ts'
import { memoryAfterLoad } from './measures/memory-after-load.ts'
import { peers } from './measures/peers.ts'
import { redaction } from './measures/redaction.ts'
import { redis } from './measures/redis.ts'
import { redisReaders } from './measures/redis-readers.ts'
import { replay } from './measures/replay.ts'
import { startUp } from './measures/start-up.ts'
import { stoppedReader } from './measures/stopped-reader.ts'
import { throughput } from './measures/throughput.ts'
import { warmRun } from './measures/warm-run.ts'
import { warmedThread } from './measures/warmed-thread.ts'
import { chartOf } from './support/chart.ts'
import type { Measure, Row } from './support/measure.ts'
import { INSTALL, SERVER } from './support/sandbox-agent.ts'
import { formatTable } from './support/table.ts'
import { Workshop } from './support/workshop.ts'

const MEASURES: readonly Measure[] = [
  startUp,
  idleMemory,
  warmRun,
  coldRun,
  launch,
  warmedThread,
  throughput,
  cpuPerEvent,
  redaction,
  enforcement,
  broker,
  fanOut,
  stoppedReader,
  doorUnderLoad,
  memoryAfterLoad,
  replay,
  redis,
  redisReaders,
  growth,
  longThread,
  consolePage,
  peers,
]

const USAGE =
  'npm run bench [name…] [-- --quick] [--json] [--app FOLDER] [--against FOLDER] [--peers FOLDER] [--chart FILE]'
const { flags, names } = read()
if (flags.help) {
  const width = 2 + Math.max(...MEASURES.map(({ name }) => name.length))
  console.log([USAGE, '', ...MEASURES.map(({ name, title }) => `  ${name.padEnd(width)}${title}`)].join('\n'))
} else {
  const refusal = refusalOf(flags, names)
  if (refusal !== undefined) refuse(refusal)
  const chosen = MEASURES.filter(({ name }) => names.length === 0 || names.includes(name))
  process.exitCode = (await runAll(chosen)) ? 0 : 1
}

function read() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        app: { type: 'string' },
        against: { type: 'string' },
        peers: { type: 'string' },
        chart: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    return { flags: values, names: positionals }
  } catch (error) {
    return refuse(toMessage(error))
  }
}

function refuse(reason: string): never {
  console.error(`${reason}\n\n${USAGE}\n--help lists the names.`)
  process.exit(2)
}

/** Returns why this cannot be measured: after an hour would be too late to say so. */
function refusalOf(
  { app, against, peers: installed, chart }: typeof flags,
  chosen: readonly string[],
): string | undefined {
  const unknown = chosen.filter((name) => !MEASURES.some((measure) => measure.name === name))
  if (unknown.length > 0) return `There is no measure ${unknown.join(', ')}.`
  for (const [flag, folder] of Object.entries({ app, against })) {
    const lacks = ['dist/main.js', 'entrypoint.sh'].find((file) => !isFile(folder, file))
    if (lacks !== undefined)
      return `--${flag} ${folder}: ${lacks} is not in it; name a package after npm run build.`
  }
  if (!isFile(installed, SERVER)) return `--peers ${installed}: sandbox-agent is not in it; ${INSTALL} there.`
  if (installed === undefined && chosen.includes(peers.name))
    return `${peers.name} takes --peers FOLDER; ${INSTALL} in it.`
  if (chart !== undefined && (existsSync(chart) ? !isFile(chart) : !existsSync(dirname(chart))))
    return `--chart ${chart}: this is a folder, or lies in none.`
  return undefined
}

/** Whether this is a file, or is not asked for. */
function isFile(folder: string | undefined, file = ''): boolean {
  if (folder === undefined) return true
  const path = join(folder, file)
  return existsSync(path) && statSync(path).isFile()
}

/** The servers that are measured run in other folders. */
function absolute(folder: string | undefined): string | undefined {
  return folder === undefined ? undefined : resolve(folder)
}

/** @returns whether every figure reached its target. */
async function runAll(measures: readonly Measure[]): Promise<boolean> {
  const workshop = await Workshop.open({
    isQuick: flags.quick,
    app: absolute(flags.app),
    against: absolute(flags.against),
    peers: absolute(flags.peers),
  })
  const stop = (): void => void workshop.close().finally(() => process.exit(130))
  process.once('SIGINT', stop).once('SIGTERM', stop)
  const results: { name: string; title: string; rows: Row[] }[] = []
  const processor = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}`
  const machine = { date: new Date().toISOString(), node: process.version, processor }
  if (!flags.json) console.log(`${machine.date}, Node ${machine.node}, ${machine.processor}`)
  try {
    for (const { name, title, run } of measures) {
      const rows = await run(workshop)
      results.push({ name, title, rows })
      if (!flags.json) console.log(`\n${title}\n${formatTable(rows)}`)
    }
  } finally {
    await workshop.close()
    process.off('SIGINT', stop).off('SIGTERM', stop)
  }
  if (flags.chart !== undefined)
    writeFileSync(flags.chart, chartOf(results, `npm run bench, ${Object.values(machine).join(', ')}`))
  if (flags.json) console.log(JSON.stringify({ ...machine, quick: flags.quick, measures: results }, null, 2))
  return results.every(({ rows }) => rows.every(({ pass }) => pass !== false))
}
