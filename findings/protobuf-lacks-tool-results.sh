#!/usr/bin/env bash
# @ag-ui/proto before 1.0: an encoder and a schema of one release do not agree. A tool's result, reasoning and activities are
# valid events there and cannot be encoded; a chunk of text, which has a place in the protocol file, fails in the encoder too.
# From 1.0.0 on each of these comes back as it was. A server that answers an older client in protobuf because its Accept
# header allows it therefore breaks off at the first tool result.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
versions=(0.0.45 0.0.53 0.0.59 1.0.0)
packages=()
for version in "${versions[@]}"; do
  packages+=("proto-${version//./-}@npm:@ag-ui/proto@$version" "core-${version//./-}@npm:@ag-ui/core@$version")
done
npm install --silent --no-audit --no-fund --ignore-scripts "${packages[@]}" >/dev/null 2>&1
cat >run.mjs <<'JS'
const events = [
  { type: 'TEXT_MESSAGE_CONTENT', messageId: 'm', delta: 'x' },
  { type: 'TEXT_MESSAGE_CHUNK', messageId: 'm', role: 'assistant', delta: 'x' },
  { type: 'TOOL_CALL_CHUNK', toolCallId: 'c', toolCallName: 'paint', delta: '{}' },
  { type: 'TOOL_CALL_RESULT', messageId: 'm', toolCallId: 'c', content: 'painted' },
  { type: 'REASONING_MESSAGE_CONTENT', messageId: 'm', delta: 'x' },
  { type: 'ACTIVITY_SNAPSHOT', messageId: 'm', activityType: 'plan', content: {} },
]
// An encoder logs what it refuses.
console.error = () => {}
const comesBack = (proto, event) => {
  try {
    const back = proto.decode(proto.encode(event))
    return Object.entries(event).every(([key, value]) => JSON.stringify(back[key]) === JSON.stringify(value))
  } catch {
    return false
  }
}
for (const version of process.argv.slice(2)) {
  const name = version.replaceAll('.', '-')
  const proto = await import(`proto-${name}`)
  // 1.0.0 has its schemas in a module of their own.
  const { EventSchemas } = await import(version === '1.0.0' ? `core-${name}/schemas` : `core-${name}`)
  const known = events.filter((event) => EventSchemas.safeParse(event).success)
  const lost = known.filter((event) => !comesBack(proto, event)).map(({ type }) => type)
  console.log(`${version}: ${known.length} valid, lost: ${lost.join(' ') || 'none'}`)
}
JS
got=$(node run.mjs "${versions[@]}" 2>/dev/null)
echo "$got"
# Seen on 2026-11-28, Node 20.20.2.
expected='0.0.45: 6 valid, lost: TEXT_MESSAGE_CHUNK TOOL_CALL_CHUNK TOOL_CALL_RESULT REASONING_MESSAGE_CONTENT ACTIVITY_SNAPSHOT
0.0.53: 6 valid, lost: TEXT_MESSAGE_CHUNK TOOL_CALL_CHUNK TOOL_CALL_RESULT REASONING_MESSAGE_CONTENT ACTIVITY_SNAPSHOT
0.0.59: 6 valid, lost: TEXT_MESSAGE_CHUNK TOOL_CALL_CHUNK TOOL_CALL_RESULT REASONING_MESSAGE_CONTENT ACTIVITY_SNAPSHOT
1.0.0: 6 valid, lost: none'
[ "$got" = "$expected" ] || { echo 'not as it was seen' >&2; exit 1; }
