import { randomUUID } from 'node:crypto'
import { Agent, type IncomingMessage, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TurnTimes } from './bare-cli.ts'

/** Pause between two questions to a server that does not answer yet, in milliseconds. */
const RETRY_MS = 1

const agent = new Agent({ keepAlive: true, scheduling: 'lifo' })

export interface RunTimes extends TurnTimes {
  /** POST to the end of the stream. */
  endMs: number
}

export interface Prompt {
  threadId: string
  prompt: string
}

/** Posts one prompt and leaves: others read the run. */
export async function startRun(url: string, prompt: Prompt): Promise<void> {
  const response = await send(url, { method: 'POST', body: toBody(prompt) })
  response.destroy()
}

/** Posts one prompt, parses every event and notes when the text came. Fails unless the run succeeded. */
export async function postRun(url: string, prompt: Prompt): Promise<RunTimes> {
  const body = toBody(prompt)
  const start = performance.now()
  const response = await send(url, { method: 'POST', body })
  const times = { firstMs: 0, lastMs: 0, deltas: 0, endMs: 0 }
  let last: ClientEvent = { type: 'nothing' }
  for await (const events of eventsOf<ClientEvent>(response)) {
    last = events.at(-1) ?? last
    const deltas = events.filter(({ type }) => type === 'TEXT_MESSAGE_CONTENT').length
    if (deltas === 0) continue
    times.lastMs = performance.now() - start
    if (times.deltas === 0) times.firstMs = times.lastMs
    times.deltas += deltas
  }
  times.endMs = performance.now() - start
  if (last.outcome?.type !== 'success') throw new Error(`the run ended with ${JSON.stringify(last)}`)
  return times
}

function toBody({ threadId, prompt }: Prompt): string {
  const messages = [{ id: randomUUID(), role: 'user', content: prompt }]
  return JSON.stringify({ threadId, runId: randomUUID(), messages })
}

/** Resolves with the answer's head. */
export function send(
  url: string,
  { method = 'GET', body }: { method?: string; body?: string } = {},
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' }
    const outgoing = request(url, { method, headers, agent }, (response) => {
      if (response.statusCode === 200) resolve(response)
      else {
        response.resume()
        reject(new Error(`${method} ${url}: ${response.statusCode}`))
      }
    })
    outgoing.once('error', reject)
    outgoing.end(body)
  })
}

/** The whole body. */
export async function readBytes(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  return Buffer.concat(chunks)
}

export async function readJson(response: IncomingMessage): Promise<unknown> {
  return JSON.parse((await readBytes(response)).toString('utf8'))
}

interface ClientEvent {
  type: string
  outcome?: { type: string }
}

const DATA = 'data: '

/** The frames of an SSE answer, parsed, for each piece that arrives: a promise a frame would cost more than parsing it. */
export async function* eventsOf<Event>(response: IncomingMessage): AsyncGenerator<Event[], undefined> {
  let rest = ''
  for await (const text of response.setEncoding('utf8')) {
    const frames = (rest + text).split('\n\n')
    rest = frames.pop() ?? ''
    yield frames.flatMap((frame) => {
      const at = frame.indexOf(DATA)
      return at >= 0 ? [JSON.parse(frame.slice(at + DATA.length))] : []
    })
  }
}

/** Asks until there is a good answer, or `signal`. */
export async function untilHealthy(url: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await readBytes(await send(url))
      return
    } catch {
      await sleep(RETRY_MS)
    }
  }
}
