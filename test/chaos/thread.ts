// One thread from its first run to its deletion, and whether its log has all that was answered for.
import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { unlessAborted } from '../../src/within.ts'
import { runInput } from '../support/client.ts'
import type { Random } from '../support/random.ts'
import { Witness } from '../support/witness.ts'
import { ask, bodyOf } from './ask.ts'
import { anyPrompt } from './prompts.ts'
import { checkLog, type SentRun, type Tally } from './verdict.ts'
import type { World } from './world.ts'

const RUNS_MAX = 6
/** What a client does with the stream of its run, when it has read so many records. */
const HABITS = ['reads', 'stops reading', 'leaves', 'interrupts', 'steers', 'queues'] as const
const RECORDS_MAX = 300
/** How long a reader reads nothing, and after how many records. */
const STOPPED_MS = 1500
const STOPS_AFTER = 2000
const AGAIN_MS = 50

/** A run may be refused with these: nothing of it is kept then. */
const REFUSALS: ReadonlySet<string> = new Set(['thread_busy', 'storage_full', 'shutting_down'])

export class ChaosThread {
  readonly #id: string
  readonly #world: World
  readonly #random: Random
  readonly #witness = new Witness()
  readonly #runs: SentRun[] = []
  /** Of messages that were accepted without a run of the client's own. */
  readonly #messageIds: string[] = []
  /** Runs that the log may have and that no answer has named. */
  #unnamed = 0

  constructor(id: string, world: World, random: Random) {
    this.#id = id
    this.#world = world
    this.#random = random
  }

  /** @throws when something is lost, changed, or not as it should be. */
  async live(): Promise<Tally> {
    const follower = new Follower(this.#path('/events?wait=true'), this.#witness, this.#world, this.#random)
    const following = follower.follow().catch((error: unknown) => this.#world.fail(error))
    try {
      for (let left = 1 + this.#random(RUNS_MAX); left > 0; left -= 1) await this.#run()
      const lastSeq = await this.#untilIdle()
      await unlessAborted(this.#world.signal, follower.reached(lastSeq))
      const log = lastSeq === 0 ? '' : await this.#get('/events?follow=false')
      const sent = { runs: this.#runs, messageIds: this.#messageIds, unnamed: this.#unnamed }
      const tally = await checkLog(this.#id, log, sent, this.#witness, (from, to) =>
        this.#world.hasGatewayFailed(from, to),
      )
      await this.#delete()
      return tally
    } finally {
      follower.leave()
      await following
    }
  }

  async #run(): Promise<void> {
    const random = this.#random
    const { words, answer } = anyPrompt(random)
    const isQueued = random(4) === 0
    const input = { ...runInput(this.#id, words), forwardedProps: isQueued ? { delivery: 'queue' } : {} }
    const run: SentRun = {
      runId: input.runId,
      messageId: String(input.messages[0]?.id),
      answer,
      became: 'unknown',
      isDisturbed: false,
    }
    const response = await this.#ask('', 'POST', input, '/')
    this.#runs.push(run)
    if (response === undefined) return this.#again()
    if (response.statusCode !== 200) {
      await this.#refused(response)
      run.became = 'refused'
      return this.#again()
    }
    run.became = 'acknowledged'
    await this.#read(response)
  }

  async #read(response: IncomingMessage): Promise<void> {
    const habit = HABITS[this.#random(HABITS.length)]
    const at = this.#random(RECORDS_MAX)
    let records = 0
    await this.#witness.watch(response, async (seq, json) => {
      // What has no id says why the stream ends before the run does.
      if (Number.isNaN(seq) && !json.includes('"shutting_down"')) throw new Error(`without an id: ${json}`)
      records += 1
      if (records !== at) return
      if (habit === 'stops reading') await this.#pause(STOPPED_MS)
      else if (habit === 'leaves') response.destroy()
      else if (habit === 'interrupts') (await this.#ask('/interrupt', 'POST', {}))?.resume()
      else if (habit === 'steers') await this.#add('steer')
      else if (habit === 'queues') await this.#add('queue')
    })
  }

  async #add(delivery: 'steer' | 'queue'): Promise<void> {
    const { words, answer } = anyPrompt(this.#random)
    const response = await this.#ask('/messages', 'POST', { content: words, delivery })
    if (response === undefined || delivery === 'steer') {
      // Nobody knows what the model then answers to what.
      this.#unnamed += 1
      for (const run of this.#runs) run.isDisturbed = true
    }
    if (response === undefined) return
    if (response.statusCode !== 202) return await this.#refused(response)
    const { messageId, delivery: became, runId } = await bodyOf(response)
    if (became === 'steer') this.#messageIds.push(messageId)
    else this.#runs.push({ runId, messageId, answer, became: 'acknowledged', isDisturbed: true })
  }

  async #refused(response: IncomingMessage): Promise<void> {
    const { error } = await bodyOf(response)
    if (!REFUSALS.has(error?.code)) throw new Error(`${response.statusCode} ${JSON.stringify(error)}`)
  }

  /** Resolves with the thread's last seq when nothing runs or waits; 0 when there is no thread. */
  async #untilIdle(): Promise<number> {
    for (;;) {
      const response = await this.#ask('')
      if (response?.statusCode === 404) {
        response.resume()
        return 0
      }
      if (response?.statusCode === 200) {
        const { state, queue, lastSeq } = await bodyOf(response)
        if (state !== 'running' && queue.length === 0) return lastSeq
      } else response?.resume()
      await this.#again()
    }
  }

  async #get(path: string): Promise<string> {
    for (;;) {
      const response = await this.#ask(path)
      const whole = await (response === undefined ? undefined : text(response).catch(() => undefined))
      if (response?.statusCode === 200 && whole !== undefined) return whole
      await this.#again()
    }
  }

  /** Asked for again until it is gone, a killed runner or not. */
  async #delete(): Promise<void> {
    for (;;) {
      const response = await this.#ask('', 'DELETE')
      response?.resume()
      if (response?.statusCode === 404) return
      await this.#again()
    }
  }

  #path(rest: string): string {
    return `/sessions/${this.#id}${rest}`
  }

  /** Undefined when the runner is not there, or goes before it has answered. */
  async #ask(
    rest: string,
    method?: string,
    body?: unknown,
    path = this.#path(rest),
  ): Promise<IncomingMessage | undefined> {
    const url = await this.#world.url()
    return await ask(`${url}${path}`, { method, body }).catch(() => undefined)
  }

  async #again(): Promise<void> {
    await this.#pause(AGAIN_MS)
  }

  #pause(upToMs: number): Promise<void> {
    return delay(1 + this.#random(upToMs), undefined, { signal: this.#world.signal })
  }
}

/** Reads all of a thread, and comes back with the last seq that it has when it is cut off. */
class Follower {
  readonly #path: string
  readonly #witness: Witness
  readonly #world: World
  readonly #random: Random
  #last = 0
  #isLeft = false
  #response: IncomingMessage | undefined
  #onRecord: () => void = () => {}

  constructor(path: string, witness: Witness, world: World, random: Random) {
    this.#path = path
    this.#witness = witness
    this.#world = world
    this.#random = random
  }

  async follow(): Promise<void> {
    while (!this.#isLeft) {
      const url = await this.#world.url()
      this.#response = await ask(`${url}${this.#path}&after=${this.#last}`).catch(() => undefined)
      if (this.#response?.statusCode === 200) await this.#read(this.#response)
      else this.#response?.resume()
      await delay(AGAIN_MS, undefined, { signal: this.#world.signal })
    }
  }

  reached(seq: number): Promise<void> {
    return new Promise((resolve) => {
      this.#onRecord = () => {
        if (this.#last >= seq) resolve()
      }
      this.#onRecord()
    })
  }

  leave(): void {
    this.#isLeft = true
    this.#response?.destroy()
  }

  async #read(response: IncomingMessage): Promise<void> {
    await this.#witness.watch(response, async (seq, json) => {
      if (seq !== this.#last + 1) throw new Error(`behind record ${this.#last} came ${seq}: ${json}`)
      this.#last = seq
      this.#onRecord()
      if (this.#random(STOPS_AFTER) === 0)
        await delay(this.#random(STOPPED_MS), undefined, { signal: this.#world.signal })
    })
  }
}
