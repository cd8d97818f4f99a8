import { EventType } from '@ag-ui/core'
import type { AguiEvent } from '../../agui/event.ts'
import type { Denial } from '../process/process.ts'

/** `CUSTOM agui-runner.policy_denied`: where something wanted to go, and which rule was in the way. */
export function toDenialEvent({ host, port, method, rule, reason }: Denial): AguiEvent {
  const value = { host, port, method, ...(rule === undefined ? {} : { rule }), reason }
  return { type: EventType.CUSTOM, name: 'agui-runner.policy_denied', value }
}
