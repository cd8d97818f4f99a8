#!/usr/bin/env bash
# @ag-ui/client: MESSAGES_SNAPSHOT does not replace what the client holds. Messages that it has already stay in the places
# where it has them, and those that it lacks come behind, whatever order the snapshot gives. A server that fills a gap in a
# client's history with one snapshot finds the missing turn behind the newest message.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
versions=(0.0.53 0.0.59 1.0.0)
packages=()
for version in "${versions[@]}"; do packages+=("client-${version//./-}@npm:@ag-ui/client@$version"); done
npm install --silent --no-audit --no-fund --ignore-scripts "${packages[@]}" >/dev/null 2>&1
cat >run.mjs <<'JS'
import { once } from 'node:events'
import { createServer } from 'node:http'

const message = (id, role) => ({ id, role, content: id })
const all = [message('one', 'user'), message('two', 'assistant'), message('three', 'user'), message('four', 'user')]
const events = [
  { type: 'RUN_STARTED', threadId: 't', runId: 'r' },
  { type: 'MESSAGES_SNAPSHOT', messages: all },
  { type: 'RUN_FINISHED', threadId: 't', runId: 'r' },
]
const server = createServer((_request, response) => {
  response.setHeader('content-type', 'text/event-stream')
  response.end(events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''))
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
for (const version of process.argv.slice(2)) {
  const { HttpAgent } = await import(`client-${version.replaceAll('.', '-')}`)
  const initialMessages = [all[0], all[3]]
  const agent = new HttpAgent({ url: `http://127.0.0.1:${server.address().port}`, threadId: 't', initialMessages })
  await agent.runAgent({ runId: 'r' })
  console.log(version, agent.messages.map(({ id }) => id).join(' '))
}
server.close()
process.exit(0)
JS
got=$(node run.mjs "${versions[@]}" 2>/dev/null)
echo "$got"
# Seen on 2026-11-28, Node 20.20.2; the snapshot says: one two three four.
expected='0.0.53 one four two three
0.0.59 one four two three
1.0.0 one four two three'
[ "$got" = "$expected" ] || { echo 'not as it was seen' >&2; exit 1; }
