import type { McpSdkServerConfigWithInstance } from '@anthropic-ai/claude-agent-sdk'
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js'
import { RunnerError } from '../../errors.ts'
import { type ObjectSchema, toInputSchema } from './tool-schema.ts'

export interface HostTool {
  name: string
  description: string
  /** JSON Schema of the arguments; absent for a tool without any. */
  parameters?: unknown
}

export interface HostCall {
  tool: string
  /** The id under which Claude Code streams the call. */
  toolUseId: string
  input: Record<string, unknown>
  signal: AbortSignal
}

/**
 * Creates an MCP server inside this process, over the SDK's control channel. It offers Claude Code the tools that the
 * client or the host runs. Schemas pass unchanged, so this uses the low-level server and not the SDK's zod helper.
 *
 * @throws {RunnerError} `invalid_input` for parameters that are no schema of an object.
 */
export async function createToolServer(
  name: string,
  tools: readonly HostTool[],
  onCall: (call: HostCall) => Promise<CallToolResult>,
): Promise<McpSdkServerConfigWithInstance> {
  const { McpServer } = await import('@modelcontextprotocol/sdk/server/mcp.js')
  const { CallToolRequestSchema, ListToolsRequestSchema } = await import('@modelcontextprotocol/sdk/types.js')
  const instance = new McpServer({ name, version: '1.0.0' }, { capabilities: { tools: {} } })
  const listed = tools.map(({ name: tool, description, parameters }) => ({
    name: tool,
    description,
    inputSchema: inputSchemaOf(tool, parameters),
    // Keeps the tool out of the tool search: it is always loaded.
    _meta: { 'anthropic/alwaysLoad': true },
  }))
  instance.server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: listed }))
  instance.server.setRequestHandler(CallToolRequestSchema, ({ params }, { signal }) =>
    onCall({
      tool: params.name,
      toolUseId: String(params._meta?.['claudecode/toolUseId'] ?? ''),
      input: params.arguments ?? {},
      signal,
    }),
  )
  return { type: 'sdk', name, instance }
}

/**
 * Returns the schema of a tool's arguments for the model's API.
 *
 * @throws {RunnerError} `invalid_input`, naming the tool.
 */
export function inputSchemaOf(tool: string, parameters: unknown): ObjectSchema {
  const schema = toInputSchema(parameters)
  if (typeof schema !== 'string') return schema
  throw new RunnerError(
    'invalid_input',
    `tools: the parameters of "${tool}" cannot be given to the model: ${schema}.`,
  )
}
