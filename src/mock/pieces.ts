import { once, setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cue, StreamFault } from './message-cues.ts'

/** Characters at which a write is due; texts without a wait between them are collected into one write. */
const PIECE_CHARS = 32 * 1024

/** Error that a scripted stream throws where it is to break. */
export class StreamBreak extends Error {
  override readonly name = 'StreamBreak'
  readonly fault: StreamFault

  constructor(fault: StreamFault) {
    super(`scripted stream fault: ${fault}`)
    this.fault = fault
  }
}

/** Named gates that hold replies until a test opens them; a gate once open stays open. */
export interface Gates {
  pass(name: string, signal: AbortSignal): Promise<void>
  open(name: string): void
}

export function createGates(): Gates {
  const opened = new Set<string>()
  const target = new EventTarget()
  // Any number of replies may wait at one gate.
  setMaxListeners(0, target)
  return {
    async pass(name, signal) {
      while (!opened.has(name)) await once(target, name, { signal })
    },
    open(name) {
      opened.add(name)
      target.dispatchEvent(new Event(name))
    },
  }
}

/** Plays cues: yields the texts to write and waits in between. Throws StreamBreak, or the signal's AbortError. */
export async function* playCues(
  cues: Iterable<Cue>,
  options: { gates: Gates; signal: AbortSignal },
): AsyncGenerator<string, void, undefined> {
  const { gates, signal } = options
  let piece = ''
  for (const cue of cues) {
    if (typeof cue === 'string') {
      piece += cue
      if (piece.length < PIECE_CHARS) continue
    }
    if (piece !== '') yield piece
    piece = ''
    if (typeof cue === 'string') continue
    if (cue.kind === 'fault') throw new StreamBreak(cue.fault)
    if (cue.kind === 'pause') await sleep(cue.ms, undefined, { signal })
    if (cue.kind === 'gate') await gates.pass(cue.name, signal)
    if (cue.kind === 'hang') await once(signal, 'abort', { signal })
    signal.throwIfAborted()
  }
  if (piece !== '') yield piece
}
