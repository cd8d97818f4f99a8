#!/usr/bin/env bash
# ag-ui-claude-sdk and Claude Code: when the model's stream breaks in the middle of an answer, Claude Code drops the half and asks
# again. Its messages say so nowhere but by `api_retry`. The adapter has sent the half by then and does not take it back: a
# client, and the snapshot at the end, keep two assistant messages, of which Claude Code's own session has one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
  ag-ui-claude-sdk==0.2.3 ag-ui-protocol==1.0.0 claude-agent-sdk==0.2.189 >/dev/null
cat >run.py <<'PY'
import asyncio, json, os, pathlib, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ag_ui.core import RunAgentInput, UserMessage
from ag_ui_claude_sdk import ClaudeAgentAdapter

asked = []


class Model(BaseHTTPRequestHandler):
    """Breaks its first answer off in the middle and gives the second as a whole."""

    def log_message(self, *_):
        pass

    def send(self, type, **rest):
        self.wfile.write(f'event: {type}\ndata: {json.dumps({"type": type, **rest})}\n\n'.encode())

    def do_POST(self):
        self.rfile.read(int(self.headers['content-length']))
        asked.append(self.path)
        is_first = len(asked) == 1
        self.send_response(200)
        self.send_header('content-type', 'text/event-stream')
        self.end_headers()
        usage = {'input_tokens': 1, 'output_tokens': 1}
        message = {'id': f'msg_{len(asked)}', 'type': 'message', 'role': 'assistant', 'model': 'm', 'content': []}
        self.send('message_start', message={**message, 'stop_reason': None, 'stop_sequence': None, 'usage': usage})
        self.send('content_block_start', index=0, content_block={'type': 'text', 'text': ''})
        text = 'half of it' if is_first else 'the whole'
        self.send('content_block_delta', index=0, delta={'type': 'text_delta', 'text': text})
        if is_first:
            return
        self.send('content_block_stop', index=0)
        self.send('message_delta', delta={'stop_reason': 'end_turn', 'stop_sequence': None}, usage=usage)
        self.send('message_stop')


async def main():
    model = ThreadingHTTPServer(('127.0.0.1', 0), Model)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    os.environ['ANTHROPIC_BASE_URL'] = f'http://127.0.0.1:{model.server_port}'
    adapter = ClaudeAgentAdapter(name='agent')
    messages = [UserMessage(id='1', role='user', content='hello')]
    run = RunAgentInput(
        thread_id='t', run_id='r', state={}, messages=messages, tools=[], context=[], forwarded_props={}
    )
    async for event in adapter.run(run):
        if event.type == 'TEXT_MESSAGE_CONTENT':
            print(f'text of {event.message_id}: {event.delta}')
        elif event.type == 'MESSAGES_SNAPSHOT':
            print('snapshot:', *[f'{each.role} "{each.content}"' for each in event.messages])
        elif event.type in ('RUN_FINISHED', 'RUN_ERROR'):
            print(event.type.value)
    await adapter.shutdown()
    entries = [json.loads(line) for file in pathlib.Path('.').rglob('*.jsonl') for line in file.read_text().splitlines()]
    said = [entry['message']['content'] for entry in entries if entry['type'] == 'assistant']
    print('session:', *[block['text'] for blocks in said for block in blocks])


asyncio.run(main())
PY
got=$(env -i PATH="$PATH" HOME="$folder" ANTHROPIC_API_KEY=none CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 \
  env/bin/python run.py 2>/dev/null)
echo "$got"
# Seen on 2026-11-28, Claude Code 2.1.332 (in claude-agent-sdk), Python 3.11.7.
expected='text of msg_1: half of it
text of msg_2: the whole
snapshot: user "hello" assistant "half of it" assistant "the whole"
RUN_FINISHED
session: the whole'
[ "$got" = "$expected" ] || { echo 'not as it was seen' >&2; exit 1; }
