// `npm run chaos -- [--seed N] [--seconds S]`: see storm.ts. Exit code 1 when anything was lost or left.
import { parseArgs } from 'node:util'
import { toMessage } from '../../src/errors.ts'
import { toWholeNumber } from '../../src/whole-number.ts'
import { setup } from '../support/build.ts'
import { storm } from './storm.ts'

const { seed, seconds } = read()
if (process.getuid?.() !== 0) refuse('npm run chaos mounts a small disk, which is for root only.')
setup()
console.log(`seed ${seed}, ${seconds} s`)
const stopping = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.once(name, () => stopping.abort(new Error(`ended by ${name}`)))
try {
  await storm({ seed, seconds, signal: stopping.signal, tell: (line) => console.log(line) })
} catch (error) {
  console.error(error)
  console.error(`again: npm run chaos -- --seed ${seed} --seconds ${seconds}`)
  process.exitCode = 1
}

function refuse(reason: string): never {
  console.error(reason)
  process.exit(2)
}

function read(): { seed: number; seconds: number } {
  try {
    const { values } = parseArgs({
      options: { seed: { type: 'string' }, seconds: { type: 'string', default: '3600' } },
    })
    const seed = toWholeNumber(values.seed ?? String(Date.now() % 1_000_000))
    const seconds = toWholeNumber(values.seconds)
    if (seed !== undefined && seconds !== undefined) return { seed, seconds }
  } catch (error) {
    console.error(toMessage(error))
  }
  return refuse('npm run chaos -- [--seed N] [--seconds S]: both are whole numbers from 0 on')
}
