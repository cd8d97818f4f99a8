import type { McpSdkServerConfigWithInstance } from '@anthropic-ai/claude-agent-sdk'
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js'

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

const NO_PARAMETERS = { type: 'object' as const, properties: {} }

/**
 * An MCP server inside this process, over the SDK's control channel: how Claude Code gets tools that somebody else
 * runs. Schemas pass as they are, so the low-level server is used and not the SDK's zod helper.
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
    inputSchema: isObjectSchema(parameters) ? parameters : NO_PARAMETERS,
    // Never behind a tool search.
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

function isObjectSchema(schema: unknown): schema is { type: 'object'; [key: string]: unknown } {
  return typeof schema === 'object' && schema !== null && 'type' in schema && schema.type === 'object'
}
