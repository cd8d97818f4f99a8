#!/usr/bin/env bash
# TanStack AI's client and AG-UI: it posts a RunAgentInput and reads every event of AG-UI, but what waits for its side is only seen.
# A call of a tool that it has sent and can run is left open, and a standard interrupt has no way to answer: both want metadata or
# events of a TanStack server. The one way out is named unsafe: `resumeInterruptsUnsafe` sends AG-UI's own `resume`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts @tanstack/ai@0.58.0 @tanstack/ai-client@0.33.2 >/dev/null 2>&1
cat >run.mjs <<'JS'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { toolDefinition } from '@tanstack/ai'
import { ChatClient, fetchServerSentEvents } from '@tanstack/ai-client'

// An agent that calls the client's tool in its first run, asks in the second and ends the others.
let runs = 0
const agent = createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  const { threadId, runId, resume, tools } = JSON.parse(text)
  runs += 1
  console.log(`run ${runs}: tools ${tools.map(({ name }) => name)}, resume ${JSON.stringify(resume)}`)
  const end = { type: 'RUN_FINISHED', threadId, runId }
  const call = { toolCallId: 'call', toolCallName: 'page_title' }
  const events = [
    [
      { type: 'TOOL_CALL_START', ...call },
      { type: 'TOOL_CALL_ARGS', ...call, delta: '{}' },
      { type: 'TOOL_CALL_END', ...call },
      { ...end, outcome: { type: 'success', pendingToolCallIds: ['call'] } },
    ],
    [{ ...end, outcome: { type: 'interrupt', interrupts: [{ id: 'one', reason: 'input_required', message: 'May I?' }] } }],
  ][runs - 1] ?? [end]
  response.setHeader('content-type', 'text/event-stream')
  for (const event of [{ type: 'RUN_STARTED', threadId, runId }, ...events]) response.write(`data: ${JSON.stringify(event)}\n\n`)
  response.end()
})
agent.listen(0, '127.0.0.1')
await once(agent, 'listening')

let titles = 0
const inputSchema = { type: 'object', properties: {} }
const pageTitle = toolDefinition({ name: 'page_title', description: 'the title', inputSchema }).client(async () => {
  titles += 1
  return { title: 'A page' }
})
const client = new ChatClient({
  connection: fetchServerSentEvents(`http://127.0.0.1:${agent.address().port}/`),
  tools: [pageTitle],
})
await client.sendMessage('what is the title?')
console.log(`the tool ran ${titles} times; ${client.getMessages().at(-1).parts.map(({ type, state }) => `${type} ${state}`)}`)
await client.sendMessage('then ask')
const [{ kind, message, canResolve, resolveInterrupt }] = client.getInterrupts()
console.log(`${message} ${kind}, canResolve ${canResolve}, resolveInterrupt ${resolveInterrupt}`)
await client.resumeInterruptsUnsafe([{ interruptId: 'one', status: 'resolved', payload: { approved: true } }])
console.log(`interrupts left: ${client.getInterrupts().length}`)
process.exit(0)
JS
got=$(env -i PATH="$PATH" node run.mjs 2>/dev/null)
echo "$got"
# Seen on 2026-11-28, Node 20.20.2.
expected='run 1: tools page_title, resume undefined
the tool ran 0 times; tool-call input-complete
run 2: tools page_title, resume undefined
May I? unbound, canResolve false, resolveInterrupt undefined
run 3: tools page_title, resume [{"interruptId":"one","status":"resolved","payload":{"approved":true}}]
interrupts left: 0'
[ "$got" = "$expected" ] || { echo 'not as it was seen' >&2; exit 1; }
