import { z } from 'zod'

const CommandLifecycle = z.object({
  type: z.literal('command_lifecycle'),
  command_uuid: z.string(),
  state: z.string(),
})

export function hasType(message: unknown, type: string): boolean {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === type
}

/** Returns the state of a user message, by the uuid it was sent with (2.1.329; undocumented). */
export function lifeOf(message: unknown): { id: string; state: string } | undefined {
  // The type is compared before parsing, because this runs for every delta.
  if (!hasType(message, 'command_lifecycle')) return undefined
  const parsed = CommandLifecycle.safeParse(message)
  return parsed.success ? { id: parsed.data.command_uuid, state: parsed.data.state } : undefined
}

/** Error of a missing session file, or of a missing entry to resume at. */
const NO_SUCH_PLACE = /^No (?:conversation|message) found/

export function saysNoConversation(message: unknown): boolean {
  if (typeof message !== 'object' || message === null || !('type' in message) || message.type !== 'result')
    return false
  return (
    'errors' in message &&
    Array.isArray(message.errors) &&
    message.errors.some((error) => typeof error === 'string' && NO_SUCH_PLACE.test(error))
  )
}
