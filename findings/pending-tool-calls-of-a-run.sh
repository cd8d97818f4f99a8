#!/usr/bin/env bash
# @ag-ui/client: RUN_FINISHED whose outcome names `pendingToolCallIds`, as AG-UI 1.0 has it.
# The oldest releases take it, three later ones refuse it and fail the run, 1.0.0 takes it again.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
versions=(0.0.45 0.0.49 0.0.53 0.0.57 0.0.58 0.0.59 1.0.0)
packages=()
for version in "${versions[@]}"; do packages+=("client-${version//./-}@npm:@ag-ui/client@$version"); done
npm install --silent --no-audit --no-fund --ignore-scripts "${packages[@]}" >/dev/null 2>&1
cat >run.mjs <<'JS'
import { once } from 'node:events'
import { createServer } from 'node:http'

const events = [
  { type: 'RUN_STARTED', threadId: 't', runId: 'r' },
  { type: 'TOOL_CALL_START', toolCallId: 'c', toolCallName: 'paint' },
  { type: 'TOOL_CALL_ARGS', toolCallId: 'c', delta: '{}' },
  { type: 'TOOL_CALL_END', toolCallId: 'c' },
  { type: 'RUN_FINISHED', threadId: 't', runId: 'r', outcome: { type: 'success', pendingToolCallIds: ['c'] } },
]
const server = createServer((_request, response) => {
  response.setHeader('content-type', 'text/event-stream')
  response.end(events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''))
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
// A client logs what it refuses.
console.error = () => {}
for (const version of process.argv.slice(2)) {
  const { HttpAgent } = await import(`client-${version.replaceAll('.', '-')}`)
  const agent = new HttpAgent({ url: `http://127.0.0.1:${server.address().port}`, threadId: 't' })
  const said = await agent.runAgent({ runId: 'r' }).then(() => 'taken', () => 'refused')
  console.log(`${version} ${said}`)
}
server.close()
process.exit(0)
JS
got=$(node run.mjs "${versions[@]}" 2>/dev/null)
echo "$got"
# Seen on 2026-11-28, Node 20.20.2.
expected='0.0.45 taken
0.0.49 taken
0.0.53 taken
0.0.57 refused
0.0.58 refused
0.0.59 refused
1.0.0 taken'
[ "$got" = "$expected" ] || { echo 'not as it was seen' >&2; exit 1; }
