#!/usr/bin/env bash
# @ag-ui/client 1.0 and the middlewares that answer tool calls in the page's place: two of three put the result into the stream
# and pass the run's end on as it came, which still names the call in `pendingToolCallIds`. The client believes the list, so
# the app is asked for a result that stands above. They were made for clients before 1.0, which derive what is pending.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts @ag-ui/client@1.0.0 @ag-ui/a2ui-middleware@0.0.10 \
  @ag-ui/mcp-apps-middleware@0.1.1 @ag-ui/mcp-middleware@0.0.2 @modelcontextprotocol/sdk@1.32.2 >/dev/null 2>&1
cat >run.mjs <<'JS'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { A2UIMiddleware } from '@ag-ui/a2ui-middleware'
import { HttpAgent } from '@ag-ui/client'
import { MCPAppsMiddleware } from '@ag-ui/mcp-apps-middleware'
import { MCPMiddleware } from '@ag-ui/mcp-middleware'
import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js'

const listen = async (handler) => {
  const server = createServer(handler).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${server.address().port}`
}
const mcp = await listen(async (request, response) => {
  const server = new Server({ name: 'tools', version: '1.0.0' }, { capabilities: { tools: {} } })
  const _meta = { 'ui/resourceUri': 'ui://tools/page.html' }
  const tools = [{ name: 'paint', description: 'paint', inputSchema: { type: 'object' }, _meta }]
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools }))
  server.setRequestHandler(CallToolRequestSchema, () => ({ content: [{ type: 'text', text: 'painted' }] }))
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined })
  await server.connect(transport)
  await transport.handleRequest(request, response)
})
// An agent that calls the first tool it is offered and leaves it to the client, until it has a result.
const url = await listen(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  const { threadId, runId, tools, messages } = JSON.parse(text)
  const isAnswered = messages.some(({ role }) => role === 'tool')
  const call = [
    { type: 'TOOL_CALL_START', toolCallId: 'call', toolCallName: tools[0].name },
    { type: 'TOOL_CALL_ARGS', toolCallId: 'call', delta: '{}' },
    { type: 'TOOL_CALL_END', toolCallId: 'call' },
  ]
  const outcome = { type: 'success', ...(isAnswered ? {} : { pendingToolCallIds: ['call'] }) }
  const events = [
    { type: 'RUN_STARTED', threadId, runId, protocolVersion: '1.0' },
    ...(isAnswered ? [] : call),
    { type: 'RUN_FINISHED', threadId, runId, outcome },
  ]
  response.setHeader('content-type', 'text/event-stream')
  response.end(events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''))
})
const mcpServers = [{ type: 'http', url: `${mcp}/mcp`, serverId: 'tools' }]
const middlewares = {
  '@ag-ui/a2ui-middleware': new A2UIMiddleware({ injectA2UITool: true }),
  '@ag-ui/mcp-apps-middleware': new MCPAppsMiddleware({ mcpServers }),
  '@ag-ui/mcp-middleware': new MCPMiddleware(mcpServers),
}
for (const [name, middleware] of Object.entries(middlewares)) {
  const { version } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8'))
  const agent = new HttpAgent({ url, threadId: 't', initialMessages: [{ id: 'u', role: 'user', content: 'hi' }] })
  agent.use(middleware)
  let pending
  await agent.runAgent({}, { onRunFinishedEvent: ({ pendingToolCallIds }) => void (pending = pendingToolCallIds) })
  const isAnswered = agent.messages.some(({ role, toolCallId }) => role === 'tool' && toolCallId === 'call')
  console.log(`${name} ${version}: answered ${isAnswered}, pending [${pending}]`)
}
process.exit(0)
JS
got=$(node run.mjs 2>/dev/null)
echo "$got"
# Seen on 2026-11-28, @ag-ui/client 1.0.0, Node 20.20.2.
expected='@ag-ui/a2ui-middleware 0.0.10: answered true, pending [call]
@ag-ui/mcp-apps-middleware 0.1.1: answered true, pending [call]
@ag-ui/mcp-middleware 0.0.2: answered true, pending []'
[ "$got" = "$expected" ] || { echo 'not as it was seen' >&2; exit 1; }
