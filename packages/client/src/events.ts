import type { CustomEvent, Event } from '@ag-ui/core'
import type { OwnEvents } from './own-events.ts'
import { isObject } from './values.ts'

export type OwnEventName = keyof OwnEvents

/** A CUSTOM event of the runner's own: any of them, or the one named `N`. */
export type OwnEvent<N extends OwnEventName = OwnEventName> = {
  [Name in N]: CustomEvent & { name: `agui-runner.${Name}`; value: OwnEvents[Name] }
}[N]

/** An event of a thread. A newer runner may send types that are not among these, so a `switch` needs a default. */
export type RunnerEvent = Event

/** One record of a thread's log. */
export interface LogRecord {
  /** Counts from 1, without gaps. In the form for clients before AG-UI 1.0 several events may share one. */
  seq: number
  event: RunnerEvent
}

/** Whether the event is `agui-runner.<name>`. Its value then has the type that docs/events.md gives it. */
export function isOwn<N extends OwnEventName>(name: N, event: RunnerEvent): event is OwnEvent<N> {
  return event.type === 'CUSTOM' && event.name === `agui-runner.${name}`
}

/** Whether the value is an event. The server is trusted: an object that names its type is one. */
export function isEvent(value: unknown): value is RunnerEvent {
  return isObject(value) && typeof value['type'] === 'string'
}
