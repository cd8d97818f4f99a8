#!/usr/bin/env bash
# One span of an agent by OpenTelemetry's GenAI conventions, read by two converters of one maker into OpenInference: the one in
# Arize Phoenix and @arizeai/openinference-genai. Phoenix finds the session and shows for the answer the name of the model that
# gave it (`gen_ai.response.model`), and no question; the other has both as JSON, and loses the session. Neither says so.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; wait; rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts @arizeai/openinference-genai@0.3.10 >/dev/null 2>&1
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check arize-phoenix==20.26.1 >/dev/null
cat >span.json <<'JSON'
{
  "gen_ai.operation.name": "invoke_agent",
  "gen_ai.provider.name": "anthropic",
  "gen_ai.conversation.id": "thread",
  "gen_ai.response.model": "model",
  "gen_ai.input.messages": "[{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"question\"}]}]",
  "gen_ai.output.messages": "[{\"role\":\"assistant\",\"parts\":[{\"type\":\"text\",\"content\":\"answer\"}],\"finish_reason\":\"stop\"}]"
}
JSON
cat >convert.mjs <<'JS'
import { readFileSync } from 'node:fs'
import { convertGenAISpanAttributesToOpenInferenceSpanAttributes as convert } from '@arizeai/openinference-genai'

console.log(JSON.stringify(convert(JSON.parse(readFileSync('span.json', 'utf8')))))
JS
cat >ask.py <<'PY'
import json
import subprocess
import sys
import time
import urllib.request

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

url = sys.argv[1]


def get(path):
    with urllib.request.urlopen(url + path, timeout=10) as answer:
        return json.load(answer)


def wait(look):
    for _ in range(240):
        try:
            if found := look():
                return found
        except OSError:
            pass
        time.sleep(0.5)
    raise SystemExit('Phoenix did not answer')


wait(lambda: get('/v1/projects')['data'])
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=f'{url}/v1/traces')))
with open('span.json') as file:
    provider.get_tracer('finding').start_span('invoke_agent', attributes=json.load(file)).end()
phoenix = wait(lambda: get('/v1/projects/default/spans')['data'])[0]['attributes']
other = json.loads(subprocess.run(['node', 'convert.mjs'], capture_output=True, check=True).stdout)
for name, said in [('arize-phoenix 20.26.1', phoenix), ('@arizeai/openinference-genai 0.3.10', other)]:
    parts = [said.get(key) for key in ['session.id', 'input.value', 'output.value']]
    has = ['question' in (parts[1] or ''), 'answer' in (parts[2] or ''), 'model' in (parts[2] or '')]
    print(f'{name}: session {parts[0]}, question {has[0]}, answer {has[1]}, model for it {has[2]}')
PY
port=$(env/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
PHOENIX_WORKING_DIR=$folder/phoenix PHOENIX_HOST=127.0.0.1 PHOENIX_PORT=$port PHOENIX_GRPC_PORT=0 PHOENIX_TELEMETRY_ENABLED=false \
  env/bin/phoenix serve >/dev/null 2>&1 &
server=$!
got=$(env/bin/python ask.py "http://127.0.0.1:$port")
echo "$got"
# Seen on 2026-11-28, Python 3.11.7, Node 20.20.2.
expected='arize-phoenix 20.26.1: session thread, question False, answer False, model for it True
@arizeai/openinference-genai 0.3.10: session None, question True, answer True, model for it False'
[ "$got" = "$expected" ] || { echo 'not as it was seen' >&2; exit 1; }
