#!/usr/bin/env bash
# Claude Code (of the Agent SDK): whoever answers `canUseTool` may change the arguments of a call. Every object that is returned is
# what runs, but for one: `{}` counts as no change, and the call runs with what the model wrote. The same `{}` of a PreToolUse
# hook is a change. A form in which people edit arguments has to know it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts \
  @anthropic-ai/claude-agent-sdk@0.3.332 @modelcontextprotocol/sdk@1.32.2 zod@4 >/dev/null 2>&1
cat >run.mjs <<'JS'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createSdkMcpServer, query, tool } from '@anthropic-ai/claude-agent-sdk'
import { z } from 'zod'

// A model that calls the tool with two arguments, neither of which the tool requires, and then ends.
const model = createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  const parts = JSON.parse(text).messages.flatMap(({ content }) => (Array.isArray(content) ? content : []))
  const isAnswered = parts.some(({ type }) => type === 'tool_result')
  const call = { type: 'tool_use', id: 'toolu_1', name: 'mcp__tools__push', input: {} }
  const partial_json = JSON.stringify({ branch: 'main', force: true })
  response.setHeader('content-type', 'text/event-stream')
  const send = (event) => response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
  const usage = { input_tokens: 1, output_tokens: 1 }
  const message = { id: `msg_${isAnswered}`, type: 'message', role: 'assistant', model: 'm', content: [] }
  send({ type: 'message_start', message: { ...message, stop_reason: null, stop_sequence: null, usage } })
  send({ type: 'content_block_start', index: 0, content_block: isAnswered ? { type: 'text', text: 'done' } : call })
  if (!isAnswered) send({ type: 'content_block_delta', index: 0, delta: { type: 'input_json_delta', partial_json } })
  send({ type: 'content_block_stop', index: 0 })
  const stop_reason = isAnswered ? 'end_turn' : 'tool_use'
  send({ type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage })
  send({ type: 'message_stop' })
  response.end()
})
model.listen(0, '127.0.0.1')
await once(model, 'listening')

/** Returns what the tool was called with. */
async function calledWith(options) {
  let called
  const shape = { branch: z.string().optional(), force: z.boolean().optional() }
  const push = tool('push', 'push', shape, async (args) => {
    called = args
    return { content: [{ type: 'text', text: 'pushed' }] }
  })
  const answers = query({
    prompt: 'push',
    options: {
      settingSources: [],
      strictMcpConfig: true,
      mcpServers: { tools: createSdkMcpServer({ name: 'tools', tools: [push] }) },
      env: {
        PATH: process.env.PATH,
        HOME: process.cwd(),
        ANTHROPIC_BASE_URL: `http://127.0.0.1:${model.address().port}`,
        ANTHROPIC_API_KEY: 'none',
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      },
      ...options,
    },
  })
  for await (const _ of answers);
  return JSON.stringify(called)
}

const answered = (updatedInput) => ({ canUseTool: async () => ({ behavior: 'allow', updatedInput }) })
const hooked = (updatedInput) => {
  const hookSpecificOutput = { hookEventName: 'PreToolUse', permissionDecision: 'allow', updatedInput }
  return { hooks: { PreToolUse: [{ hooks: [async () => ({ hookSpecificOutput })] }] } }
}
for (const input of [{ branch: 'other' }, { unknown: 1 }, {}]) {
  const edit = JSON.stringify(input)
  console.log(`canUseTool ${edit}: called with ${await calledWith(answered(input))}`)
  console.log(`PreToolUse ${edit}: called with ${await calledWith(hooked(input))}`)
}
process.exit(0)
JS
got=$(env -i PATH="$PATH" node run.mjs 2>/dev/null)
echo "$got"
# Seen on 2026-11-28, Claude Code 2.1.332, Node 20.20.2.
expected='canUseTool {"branch":"other"}: called with {"branch":"other"}
PreToolUse {"branch":"other"}: called with {"branch":"other"}
canUseTool {"unknown":1}: called with {}
PreToolUse {"unknown":1}: called with {}
canUseTool {}: called with {"branch":"main","force":true}
PreToolUse {}: called with {}'
[ "$got" = "$expected" ] || { echo 'not as it was seen' >&2; exit 1; }
