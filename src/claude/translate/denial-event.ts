import type { AguiEvent } from '../../agui/event.ts'
import { ownEvent } from '../../agui/own-events.ts'
import type { Denial } from '../process/spawning.ts'

/** Returns `CUSTOM agui-runner.policy_denied`: the refused destination and the rule that refused it. */
export function toDenialEvent({ host, port, method, rule, reason }: Denial): AguiEvent {
  return ownEvent('policy_denied', { host, port, method, rule, reason })
}
