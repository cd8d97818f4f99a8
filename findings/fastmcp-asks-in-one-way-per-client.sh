#!/usr/bin/env bash
# FastMCP (Python) and MCP 2026-07-28: a tool that asks its user something has two ways, and no client takes both. Claude Code
# speaks the new version, where `ctx.elicit()` fails before anybody is asked; there the tool has to return what it wants to
# know. A client of MCP's own TypeScript SDK speaks the version before, where it is the other way about. Neither refusal
# says what the other way is called to whoever calls the tool by Claude Code.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts \
  @anthropic-ai/claude-agent-sdk@0.3.332 @modelcontextprotocol/sdk@1.32.2 zod@4 >/dev/null 2>&1
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check fastmcp==4.2.3 mcp==2.3.0
cat >server.py <<'PY'
from fastmcp import Context, FastMCP
from mcp_types import ElicitRequest, ElicitRequestFormParams, InputRequiredResult

server = FastMCP("asking")
COLOUR = {"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"]}


@server.tool
async def elicits(ctx: Context) -> str:
    answer = await ctx.elicit("Which colour?", response_type=str)
    return f"heard {answer.action}"


@server.tool
async def returns(ctx: Context) -> str | InputRequiredResult:
    if ctx.input_responses:
        return f"heard {ctx.input_responses['colour'].action}"
    form = ElicitRequestFormParams(message="Which colour?", requested_schema=COLOUR)
    question = ElicitRequest(method="elicitation/create", params=form)
    return InputRequiredResult(input_requests={"colour": question})


server.run(show_banner=False)
PY
cat >run.mjs <<'JS'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { query } from '@anthropic-ai/claude-agent-sdk'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js'

const server = { command: 'python/bin/python', args: ['server.py'], env: { FASTMCP_CHECK_FOR_UPDATES: 'off' } }
let asked = 0
const answer = async () => {
  asked += 1
  return { action: 'decline' }
}
const say = (client, tool, text) => {
  console.log(`${client}, ${tool}: asked ${asked} times; ${text.slice(0, 100)}`)
  asked = 0
}

// A model that calls the tool that the prompt names, and then ends.
let result = ''
const model = createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  const { messages } = JSON.parse(text)
  const parts = messages.flatMap(({ content }) => (Array.isArray(content) ? content : []))
  const answered = parts.find(({ type }) => type === 'tool_result')
  if (answered !== undefined) result = JSON.stringify(answered.content)
  const name = /call (\w+)/.exec(text)[1]
  const call = { type: 'tool_use', id: 'toolu_1', name: `mcp__asking__${name}`, input: {} }
  const block = answered === undefined ? call : { type: 'text', text: 'done' }
  response.setHeader('content-type', 'text/event-stream')
  const send = (event) => response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
  const usage = { input_tokens: 1, output_tokens: 1 }
  const message = { id: 'msg_1', type: 'message', role: 'assistant', model: 'm', content: [] }
  send({ type: 'message_start', message: { ...message, stop_reason: null, stop_sequence: null, usage } })
  send({ type: 'content_block_start', index: 0, content_block: block })
  send({ type: 'content_block_stop', index: 0 })
  const stop_reason = answered === undefined ? 'tool_use' : 'end_turn'
  send({ type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage })
  send({ type: 'message_stop' })
  response.end()
})
model.listen(0, '127.0.0.1')
await once(model, 'listening')
const env = {
  PATH: process.env.PATH,
  HOME: process.cwd(),
  ANTHROPIC_BASE_URL: `http://127.0.0.1:${model.address().port}`,
  ANTHROPIC_API_KEY: 'none',
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
}
for (const tool of ['elicits', 'returns']) {
  const answers = query({
    prompt: `call ${tool}`,
    options: {
      settingSources: [],
      strictMcpConfig: true,
      onElicitation: answer,
      canUseTool: async (_name, input) => ({ behavior: 'allow', updatedInput: input }),
      mcpServers: { asking: { type: 'stdio', alwaysLoad: true, ...server } },
      env,
    },
  })
  for await (const _ of answers);
  say('Claude Code', tool, result)
}
const client = new Client({ name: 'client', version: '1.0.0' }, { capabilities: { elicitation: { form: {} } } })
client.setRequestHandler(ElicitRequestSchema, answer)
await client.connect(new StdioClientTransport({ ...server, stderr: 'ignore' }))
for (const tool of ['elicits', 'returns']) {
  const { content } = await client.callTool({ name: tool, arguments: {} }).catch(({ message }) => ({ content: message }))
  say('TypeScript SDK', tool, JSON.stringify(content))
}
process.exit(0)
JS
got=$(env -i PATH="$PATH" node run.mjs 2>/dev/null)
echo "$got"
# Seen on 2026-11-29, FastMCP 4.2.3 with mcp 2.3.0 on Python 3.11.7, Claude Code 2.1.332, Node 20.20.2.
expected='Claude Code, elicits: asked 0 times; "elicitation via server-initiated requests is unavailable on 2026-07-28 connections."
Claude Code, returns: asked 1 times; "{\"result\":\"heard decline\"}"
TypeScript SDK, elicits: asked 1 times; [{"type":"text","text":"heard decline"}]
TypeScript SDK, returns: asked 0 times; "MCP error -32602: Tool '"'returns'"' returned an InputRequiredResult to request client input, but the m'
[ "$got" = "$expected" ] || { echo 'not as it was seen' >&2; exit 1; }
