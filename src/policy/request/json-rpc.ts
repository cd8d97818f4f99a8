// The body of a JSON-RPC or MCP request as the rules see it (net/l7/jsonrpc.rs).
import type { JsonRpcRequest } from './body.ts'
import { mcpParamsProblem } from './mcp-params.ts'
import {
  isJsonObject,
  type JsonObject,
  member,
  parseStrictJson,
  refuseLookAlikes,
  UnreadableError,
} from './strict-json.ts'

export interface JsonRpcReading {
  isMcp: boolean
  /** For MCP: whether tool names must have the form that the specification recommends. */
  hasStrictToolNames: boolean
}

type Call = JsonRpcRequest['calls'][number]

const MESSAGE_KEYS = ['jsonrpc', 'id', 'method', 'params', 'result', 'error']
const TOOL_NAME = /^[A-Za-z0-9_.-]{1,128}$/

/** Reads a JSON-RPC or MCP body. For an unreadable body, `error` is set and `calls` is empty. */
export function readJsonRpc(body: Uint8Array, reading: JsonRpcReading): JsonRpcRequest {
  try {
    return toRequest(parseStrictJson(body), reading)
  } catch (error) {
    if (error instanceof UnreadableError) return { calls: [], error: error.message }
    throw error
  }
}

function toRequest(value: unknown, reading: JsonRpcReading): JsonRpcRequest {
  const isBatch = Array.isArray(value)
  const messages: readonly unknown[] = isBatch ? value : [value]
  if (messages.length === 0) throw new UnreadableError('the batch is empty')
  const calls = messages.map((message) => readMessage(message, reading))
  const made = calls.filter((call) => call !== undefined)
  return { calls: made, isBatch, hasResponse: made.length < calls.length }
}

/** Returns the call of a message; undefined for a response. */
function readMessage(message: unknown, reading: JsonRpcReading): Call | undefined {
  if (!isJsonObject(message)) throw new UnreadableError('a message is not an object')
  refuseLookAlikes(Object.keys(message), MESSAGE_KEYS)
  if (member(message, 'jsonrpc') !== '2.0') throw new UnreadableError('a message is not of JSON-RPC 2.0')
  const hasMethod = Object.hasOwn(message, 'method')
  const isResponse = Object.hasOwn(message, 'result') || Object.hasOwn(message, 'error')
  if (hasMethod && isResponse) throw new UnreadableError('a message is both a call and a response')
  if (!isResponse) return readCall(message, reading)
  checkResponse(message)
  return undefined
}

function checkResponse(message: JsonObject): void {
  if (Object.hasOwn(message, 'result') && Object.hasOwn(message, 'error')) {
    throw new UnreadableError('a response has both a result and an error')
  }
  const id = member(message, 'id')
  if (id !== null && typeof id !== 'string' && typeof id !== 'number') {
    throw new UnreadableError('the id of a response is neither a string nor a number')
  }
  if (Object.hasOwn(message, 'error') && !isJsonObject(member(message, 'error'))) {
    throw new UnreadableError('the error of a response is not an object')
  }
}

function readCall(message: JsonObject, reading: JsonRpcReading): Call {
  const method = member(message, 'method')
  if (typeof method !== 'string')
    throw new UnreadableError('the method of a message is missing or not a string')
  if (!reading.isMcp) return { method }
  if (Object.hasOwn(message, 'id')) checkMcpId(member(message, 'id'))
  const params = member(message, 'params')
  if (params !== undefined && params !== null && !isJsonObject(params)) {
    throw new UnreadableError('the params of a message are not an object')
  }
  const problem = mcpParamsProblem(method, params ?? {}, Object.hasOwn(message, 'id'))
  if (problem !== undefined)
    throw new UnreadableError(`the ${problem} of ${method} is missing or of the wrong type`)
  if (method !== 'tools/call') return { method }
  // The tool is read even without an id: OpenShell reads none there, but a server may run it.
  const tool = toolOf(params)
  if (reading.hasStrictToolNames && !TOOL_NAME.test(tool)) {
    throw new UnreadableError('the name of the tool is not of the form that strict_tool_names asks for')
  }
  return { method, tool }
}

function checkMcpId(id: unknown): void {
  if (typeof id !== 'string' && !Number.isInteger(id)) {
    throw new UnreadableError('the id of a call is neither a string nor a whole number')
  }
}

function toolOf(params: JsonObject | null | undefined): string {
  refuseLookAlikes(Object.keys(params ?? {}), ['name', 'arguments'])
  const name = member(params ?? {}, 'name')
  if (typeof name !== 'string') throw new UnreadableError('a call of a tool does not name it')
  return name
}
