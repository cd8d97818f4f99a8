// `npm run chaos -- [--seed N] [--seconds S]`: see storm.ts. Exit code 1 when anything was lost or left.
import { parseArgs } from 'node:util'
import { setup } from '../support/build.ts'
import { storm } from './storm.ts'

const { values } = parseArgs({
  options: { seed: { type: 'string' }, seconds: { type: 'string', default: '3600' } },
})
const seed = Number(values.seed ?? Date.now() % 1_000_000)
const seconds = Number(values.seconds)
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(seconds)) {
  console.error('npm run chaos -- [--seed N] [--seconds S]: both are whole numbers')
  process.exit(2)
}
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
