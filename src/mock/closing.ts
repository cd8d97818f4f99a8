import type { Duplex } from 'node:stream'

/** Writes a last answer and closes both directions: a peer that keeps its side open must not keep ours. */
export function closeWith(socket: Duplex, text: string): void {
  socket.end(text, () => socket.destroy())
}
