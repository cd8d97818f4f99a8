#!/usr/bin/env bash
# Claude Code (of the Agent SDK) and MCP: of a result that has both `content` and `structuredContent` the model reads the
# structure instead of the text, and the pictures. With `isError` it is the other way about: the text alone is read, and the
# structure and the pictures are dropped. A server that explains its figures in the text is not heard.
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

const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
const content = [
  { type: 'text', text: 'the words' },
  { type: 'image', mimeType: 'image/png', data: PIXEL },
]
const structuredContent = { the: 'structure' }
const results = {
  words: { content },
  both: { content, structuredContent },
  failed: { content, structuredContent, isError: true },
}
const tools = Object.keys(results).map((name) => ({ name, description: name, inputSchema: { type: 'object' } }))
const server = new Server({ name: 'tools', version: '1.0.0' }, { capabilities: { tools: {} } })
server.setRequestHandler(ListToolsRequestSchema, () => ({ tools }))
server.setRequestHandler(CallToolRequestSchema, ({ params }) => results[params.name])
await server.connect(new StdioServerTransport())
JS
cat >run.mjs <<'JS'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { query } from '@anthropic-ai/claude-agent-sdk'

// A model that calls the tool that the prompt names, and then ends.
let results = []
const model = createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  const { messages } = JSON.parse(text)
  const parts = messages.flatMap(({ content }) => (Array.isArray(content) ? content : []))
  results = parts.filter(({ type }) => type === 'tool_result')
  const name = /call (\w+)/.exec(text)[1]
  const call = { type: 'tool_use', id: 'toolu_1', name: `mcp__tools__${name}`, input: {} }
  const blocks = [results.length > 0 ? { type: 'text', text: 'done' } : call]
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
for (const name of ['words', 'both', 'failed']) {
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
  const parts = [results[0].content].flat()
  const has = (what) => parts.some((part) => JSON.stringify(part).includes(what))
  const said = [
    ['text', has('the words')],
    ['structure', has('structure')],
    ['picture', has('image/png')],
  ]
  console.log(`${name}: ${said.flatMap(([what, is]) => (is ? [what] : [])).join(', ')}`)
}
process.exit(0)
JS
got=$(env -i PATH="$PATH" node run.mjs 2>/dev/null)
echo "$got"
# Seen on 2026-11-28, Claude Code 2.1.332, Node 20.20.2.
expected='words: text, picture
both: structure, picture
failed: text'
[ "$got" = "$expected" ] || { echo 'not as it was seen' >&2; exit 1; }
