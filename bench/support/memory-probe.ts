import { toMib } from './proc.ts'
import type { RunnerHandle } from './workshop.ts'

/** Runs inside the measured server: collects garbage when asked, and says what is left. */
const PROBE = `
process.on('message', () => {
  gc()
  const { heapUsed, external } = process.memoryUsage()
  process.send(heapUsed + external)
})
process.channel.unref()
`

/** Node's arguments for a server that can be asked by `heldMib`; it has to be forked. */
export const PROBE_ARGUMENTS = [
  '--expose-gc',
  '--import',
  `data:text/javascript,${encodeURIComponent(PROBE)}`,
]

/** What the server's objects and buffers hold after a garbage collection, in MiB. */
export function heldMib(runner: RunnerHandle): Promise<number> {
  return new Promise((resolve, reject) => {
    const onExit = (): void => reject(new Error('the runner ended'))
    runner.child.once('exit', onExit)
    runner.child.once('message', (bytes) => {
      runner.child.off('exit', onExit)
      resolve(toMib(Number(bytes)))
    })
    runner.child.send('held')
  })
}
