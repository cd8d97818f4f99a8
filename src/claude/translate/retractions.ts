import type { AguiEvent } from '../../agui/event.ts'
import { ownEvent } from '../../agui/own-events.ts'
import type { EventOwner } from './blocks.ts'
import type { ShownIds } from './lane.ts'

/**
 * The messages and calls that Claude Code took back: a cut stream that it answers anew, a refused answer, a call that
 * it could not parse. AG-UI cannot withdraw a message, so the ids are sent. A client may remove the messages; a
 * snapshot leaves them out.
 */
export class Retractions {
  /** AG-UI ids by the uuid of the Claude message that made them. */
  readonly #lines = new Map<string, ShownIds>()
  readonly #retracted = new Set<string>()

  /** Whether a message was seen before. It comes again only when the stream is replayed. */
  knows(uuid: string | undefined): boolean {
    return uuid !== undefined && this.#lines.has(uuid)
  }

  note(uuid: string | undefined, shown: ShownIds): void {
    if (uuid === undefined) return
    const earlier = this.#lines.get(uuid)
    this.#lines.set(uuid, {
      messageIds: [...(earlier?.messageIds ?? []), ...shown.messageIds],
      toolCallIds: [...(earlier?.toolCallIds ?? []), ...shown.toolCallIds],
    })
  }

  retractLines(uuids: readonly string[], owner: EventOwner, out: AguiEvent[]): void {
    const lines = uuids.flatMap((uuid) => this.#lines.get(uuid) ?? [])
    const shown = {
      messageIds: lines.flatMap((line) => line.messageIds),
      toolCallIds: lines.flatMap((line) => line.toolCallIds),
    }
    this.retract(shown, { reason: 'superseded', owner }, out)
  }

  /** Sends each id once: Claude Code announces the same retraction in several messages. */
  retract(shown: ShownIds, how: { reason: string; owner: EventOwner }, out: AguiEvent[]): void {
    const isNew = (id: string): boolean => !this.#retracted.has(id)
    const messageIds = shown.messageIds.filter(isNew)
    const toolCallIds = shown.toolCallIds.filter(isNew)
    if (messageIds.length + toolCallIds.length === 0) return
    for (const id of [...messageIds, ...toolCallIds]) this.#retracted.add(id)
    out.push(ownEvent('retracted', { reason: how.reason, messageIds, toolCallIds }, how.owner))
  }
}
