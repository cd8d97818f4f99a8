import type { Transcripts } from '../transcripts.ts'
import type { RedisClient } from './client.ts'
import { idOfName, threadKey, transcriptKey } from './keys.ts'
import type { Lanes } from './lanes.ts'
import { textsOfReply } from './reply.ts'

/** Lines per read from Redis. */
const LINES = 256

/** The transcripts in Redis. Each transcript is a list. */
export class RedisTranscripts implements Transcripts {
  readonly #client: RedisClient
  readonly #lanes: Lanes

  constructor(client: RedisClient, lanes: Lanes) {
    this.#client = client
    this.#lanes = lanes
  }

  append(threadId: string, name: string, lines: readonly string[]): Promise<void> {
    return this.#lanes.laneOf(threadId).transcribe(name, lines)
  }

  async names(threadId: string): Promise<readonly string[]> {
    const names = await this.#client.ask('SMEMBERS', threadKey(threadId, 'transcripts'))
    return textsOfReply(names)
      .map(idOfName)
      .filter((name) => name !== undefined)
  }

  async read(threadId: string, name: string): Promise<readonly string[]> {
    const lines: string[] = []
    for (;;) {
      const [from, to] = [lines.length, lines.length + LINES - 1]
      const step = textsOfReply(await this.#client.ask('LRANGE', transcriptKey(threadId, name), from, to))
      lines.push(...step)
      if (step.length < LINES) return lines
    }
  }
}
