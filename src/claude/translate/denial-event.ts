import type { AguiEvent } from '../../agui/event.ts'
import { ownEvent } from '../../agui/own-events.ts'
import type { Denial } from '../process/spawning.ts'

/** `CUSTOM agui-runner.policy_denied`: where something wanted to go, and which rule was in the way. */
export function toDenialEvent({ host, port, method, rule, reason }: Denial): AguiEvent {
  return ownEvent('policy_denied', { host, port, method, rule, reason })
}
