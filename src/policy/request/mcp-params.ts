// The required parameters of MCP's own methods (tower-mcp-types 0.12, with which OpenShell 0.0.111 reads them).
// OpenShell refuses a message that lacks them, whatever the rules and the enforcement say.
import { z } from 'zod'

const text = z.string()
const uri = z.looseObject({ uri: text })
const task = z.looseObject({ taskId: text })
const token = z.union([text, z.int()])
const reference = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('ref/prompt'), name: text }),
  z.looseObject({ type: z.literal('ref/resource'), uri: text }),
])
const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency']

/** Schemas for messages with an id, by method. */
const REQUESTS: Readonly<Record<string, z.ZodType>> = {
  initialize: z.looseObject({
    protocolVersion: text,
    capabilities: z.looseObject({}),
    clientInfo: z.looseObject({ name: text, version: text }),
  }),
  'resources/read': uri,
  'resources/subscribe': uri,
  'resources/unsubscribe': uri,
  'prompts/get': z.looseObject({ name: text, arguments: z.record(text, text).optional() }),
  'tasks/get': task,
  'tasks/update': task,
  'tasks/result': task,
  'tasks/cancel': task,
  'logging/setLevel': z.looseObject({ level: z.enum(LEVELS) }),
  'completion/complete': z.looseObject({
    ref: reference,
    argument: z.looseObject({ name: text, value: text }),
  }),
}
/** Schemas for messages without an id, by method. */
const NOTIFICATIONS: Readonly<Record<string, z.ZodType>> = {
  'notifications/cancelled': z.looseObject({ requestId: token.nullish() }),
  'notifications/progress': z.looseObject({ progressToken: token, progress: z.number() }),
}

/** Returns the member that is missing or of the wrong type; undefined when there is none or the method is unknown. */
export function mcpParamsProblem(method: string, params: object, hasId: boolean): string | undefined {
  const table = hasId ? REQUESTS : NOTIFICATIONS
  const schema = Object.hasOwn(table, method) ? table[method] : undefined
  const issue = schema?.safeParse(params).error?.issues[0]
  return issue === undefined ? undefined : issue.path.map(String).join('.')
}
