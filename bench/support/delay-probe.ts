import type { RunnerHandle } from './workshop.ts'

/** Runs inside the measured server: says how late its event loop was since it was asked last. */
const PROBE = `
import { monitorEventLoopDelay } from 'node:perf_hooks'
const delay = monitorEventLoopDelay({ resolution: 5 })
delay.enable()
process.on('message', () => {
  process.send(delay.percentile(99) / 1e6)
  delay.reset()
})
process.channel.unref()
`

/** Node's arguments for a server that can be asked by `askProbe`; it has to be forked. */
export const DELAY_ARGUMENTS = ['--import', `data:text/javascript,${encodeURIComponent(PROBE)}`]

/** The 99th percentile of the event loop's delay since the last question, in milliseconds. */
export function askProbe(runner: RunnerHandle): Promise<number> {
  return new Promise((resolve, reject) => {
    const onExit = (): void => reject(new Error('the runner ended'))
    runner.child.once('exit', onExit)
    runner.child.once('message', (ms) => {
      runner.child.off('exit', onExit)
      resolve(Number(ms))
    })
    runner.child.send('delay')
  })
}
