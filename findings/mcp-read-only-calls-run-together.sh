#!/usr/bin/env bash
# Claude Code (of the Agent SDK) and MCP: whether the calls of one answer run together is decided by a tool's `readOnlyHint`.
# Three calls of a tool that has it are all asked for before the first is answered; three of one without it run one after
# the other, also when it is said to be neither destructive nor repeated in vain (`idempotentHint`).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts \
  @anthropic-ai/claude-agent-sdk@0.3.332 @modelcontextprotocol/sdk@1.32.2 zod@4 >/dev/null 2>&1
cat >tools.mjs <<'JS'
import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js'
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js'

const tool = (name, annotations) => ({ name, description: name, inputSchema: { type: 'object' }, annotations })
const tools = [
  tool('plain'),
  tool('idempotent', { readOnlyHint: false, destructiveHint: false, idempotentHint: true }),
  tool('read_only', { readOnlyHint: true }),
]
const server = new Server({ name: 'tools', version: '1.0.0' }, { capabilities: { tools: {} } })
server.setRequestHandler(ListToolsRequestSchema, () => ({ tools }))
let open = 0
server.setRequestHandler(CallToolRequestSchema, async () => {
  open += 1
  const text = `${open} open`
  // Long enough for every call that is to come beside this one.
  await new Promise((resolve) => setTimeout(resolve, 1000))
  open -= 1
  return { content: [{ type: 'text', text }] }
})
await server.connect(new StdioServerTransport())
JS
cat >run.mjs <<'JS'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { query } from '@anthropic-ai/claude-agent-sdk'

// A model that makes three calls of the tool that the prompt names, and then ends.
let results = []
const model = createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  const { messages } = JSON.parse(text)
  const parts = messages.flatMap(({ content }) => (Array.isArray(content) ? content : []))
  results = parts.filter(({ type }) => type === 'tool_result')
  const name = /call (\w+)/.exec(text)[1]
  const call = (id) => ({ type: 'tool_use', id, name: `mcp__tools__${name}`, input: {} })
  const blocks = results.length > 0 ? [{ type: 'text', text: 'done' }] : ['toolu_1', 'toolu_2', 'toolu_3'].map(call)
  response.setHeader('content-type', 'text/event-stream')
  const send = (event) => response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
  const usage = { input_tokens: 1, output_tokens: 1 }
  const message = { id: `msg_${results.length}`, type: 'message', role: 'assistant', model: 'm', content: [] }
  send({ type: 'message_start', message: { ...message, stop_reason: null, stop_sequence: null, usage } })
  for (const [index, block] of blocks.entries()) {
    send({ type: 'content_block_start', index, content_block: block })
    send({ type: 'content_block_stop', index })
  }
  const stop_reason = results.length > 0 ? 'end_turn' : 'tool_use'
  send({ type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage })
  send({ type: 'message_stop' })
  response.end()
})
model.listen(0, '127.0.0.1')
await once(model, 'listening')
for (const name of ['plain', 'idempotent', 'read_only']) {
  const answers = query({
    prompt: `call ${name}`,
    options: {
      settingSources: [],
      strictMcpConfig: true,
      canUseTool: async (_name, input) => ({ behavior: 'allow', updatedInput: input }),
      mcpServers: { tools: { type: 'stdio', command: process.execPath, args: ['tools.mjs'] } },
      env: {
        PATH: process.env.PATH,
        HOME: process.cwd(),
        ANTHROPIC_BASE_URL: `http://127.0.0.1:${model.address().port}`,
        ANTHROPIC_API_KEY: 'none',
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      },
    },
  })
  for await (const _ of answers);
  console.log(`${name}: ${results.map(({ content }) => content[0].text).join(', ')}`)
}
process.exit(0)
JS
got=$(env -i PATH="$PATH" node run.mjs 2>/dev/null)
echo "$got"
# Seen on 2026-11-28, Claude Code 2.1.332, Node 20.20.2.
expected='plain: 1 open, 1 open, 1 open
idempotent: 1 open, 1 open, 1 open
read_only: 1 open, 2 open, 3 open'
[ "$got" = "$expected" ] || { echo 'not as it was seen' >&2; exit 1; }
