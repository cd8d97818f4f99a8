// The client ships types, not schemas: here they are held against the runner's own table, by the compiler.
import { expectTypeOf, test } from 'vitest'
import type { OwnEvents } from '../../packages/client/src/own-events.ts'
import type { OwnEventName, OwnEventValue } from '../../src/agui/own-events.ts'

type Told = { [Name in OwnEventName]: OwnEventValue<Name> }

/** Exact both ways; `readonly` and the order of members do not count. */
test('the events that the client names are those that the runner tells, member by member', () => {
  expectTypeOf<Told>().toEqualTypeOf<OwnEvents>()
})
