#!/usr/bin/env bash
# Claude Code (of the Agent SDK) and MCP over HTTP: a server that has answered 403 once counts as one that wants a sign-in, and
# later processes with the same home do not ask it again, though it would let them in by now. After a bare 401, which is the
# answer that does ask for a sign-in, they do. The memory is a file; a process with another home asks at once.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts @anthropic-ai/claude-agent-sdk@0.3.332 zod@4 >/dev/null 2>&1
cat >run.mjs <<'JS'
import { once } from 'node:events'
import { mkdirSync, readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import { query } from '@anthropic-ai/claude-agent-sdk'

const listen = async (handler) => {
  const server = createServer(handler).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${server.address().port}`
}
const read = async (request) => {
  let text = ''
  for await (const chunk of request) text += chunk
  return text === '' ? {} : JSON.parse(text)
}
const model = await listen(async (request, response) => {
  await read(request)
  response.setHeader('content-type', 'text/event-stream')
  const send = (event) => response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
  const usage = { input_tokens: 1, output_tokens: 1 }
  const message = { id: 'msg_1', type: 'message', role: 'assistant', model: 'm', content: [], usage }
  send({ type: 'message_start', message: { ...message, stop_reason: null, stop_sequence: null } })
  send({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } })
  send({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'done' } })
  send({ type: 'content_block_stop', index: 0 })
  send({ type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage })
  send({ type: 'message_stop' })
  response.end()
})
let status = 0
let asked = 0
const tools = await listen(async (request, response) => {
  asked += 1
  const { id, method } = await read(request)
  if (status !== 200 || request.method !== 'POST') return response.writeHead(status === 200 ? 405 : status).end()
  if (id === undefined) return response.writeHead(202).end()
  const serverInfo = { name: 'tools', version: '1.0.0' }
  const hello = { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo }
  const result = method === 'initialize' ? hello : { tools: [] }
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ jsonrpc: '2.0', id, result }))
})
const run = async (home) => {
  mkdirSync(home, { recursive: true })
  asked = 0
  const answers = query({
    prompt: 'hello',
    options: {
      settingSources: [],
      strictMcpConfig: true,
      mcpServers: { tools: { type: 'http', url: `${tools}/mcp`, alwaysLoad: true } },
      env: {
        PATH: process.env.PATH,
        HOME: home,
        ANTHROPIC_BASE_URL: model,
        ANTHROPIC_API_KEY: 'none',
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      },
    },
  })
  let state
  for await (const message of answers) {
    if (message.type === 'system' && message.subtype === 'init') state = message.mcp_servers[0].status
  }
  return `${state}, ${asked === 0 ? 'not asked' : 'asked'}`
}
for (const refusal of [401, 403]) {
  const home = `${process.cwd()}/${refusal}`
  status = refusal
  console.log(`${refusal}: ${await run(home)}`)
  status = 200
  console.log(`  200, the same home: ${await run(home)}`)
  console.log(`  200, another home: ${await run(`${home}-other`)}`)
  console.log(`  ${readdirSync(`${home}/.claude`).filter((name) => /auth/.test(name))}`.trimEnd())
}
process.exit(0)
JS
got=$(env -i PATH="$PATH" node run.mjs 2>/dev/null)
echo "$got"
# Seen on 2026-11-28, Claude Code 2.1.332, Node 20.20.2.
expected='401: failed, asked
  200, the same home: connected, asked
  200, another home: connected, asked

403: needs-auth, asked
  200, the same home: needs-auth, not asked
  200, another home: connected, asked
  mcp-needs-auth-cache.json'
[ "$got" = "$expected" ] || { echo 'not as it was seen' >&2; exit 1; }
