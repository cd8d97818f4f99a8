// Threads at full speed and readers that come and go, in a process of their own, until it is ended.
import { setTimeout as delay } from 'node:timers/promises'
import { postRun, send } from './client.ts'

export interface Load {
  url: string
  threads: number
  readers: number
  /** How long a reader stays. */
  stayMs: number
}

const DELTAS = 20_000

process.on('message', ({ url, threads, readers, stayMs }: Load) => {
  const names = Array.from({ length: threads }, (_, index) => `loaded-${index}`)
  void Promise.all(names.map((threadId) => postRun(url, { threadId, prompt: 'hello' }))).then(() => {
    for (const threadId of names) void always(() => postRun(url, { threadId, prompt: `stream ${DELTAS}` }))
    for (let index = 0; index < readers; index++) {
      void always(() => visit(`${url}/sessions/${names[index % threads]}/events?after=-1`, stayMs))
    }
    process.send?.('loaded')
  })
})
process.on('disconnect', () => process.exit())

async function always(work: () => Promise<unknown>): Promise<never> {
  for (;;) await work()
}

async function visit(url: string, stayMs: number): Promise<void> {
  const response = await send(url)
  response.resume()
  await delay(stayMs)
  response.destroy()
}
