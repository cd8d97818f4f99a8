#!/usr/bin/env bash
# ag-ui-claude-sdk and Claude Code: a subagent works in the background unless the model asks for the contrary. The adapter streams
# no word of it, gives what Claude Code notes for itself as the result of the call ("internal metadata - never quote"), and ends the
# run when the main agent stops for the first time. In its snapshot the subagent's answer is a message of the main agent. The
# model is asked what it says to that answer, and the run ends without it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
  ag-ui-claude-sdk==0.2.3 ag-ui-protocol==1.0.0 claude-agent-sdk==0.2.189 >/dev/null
cat >run.py <<'PY'
import asyncio, json, os, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ag_ui.core import RunAgentInput, UserMessage
from ag_ui_claude_sdk import ClaudeAgentAdapter

answered, told = threading.Event(), threading.Event()
AGENT = {'description': 'd', 'prompt': 'you are the helper', 'subagent_type': 'general-purpose'}


class Model(BaseHTTPRequestHandler):
    """Has a subagent answer, and says something as soon as it was started and something else when it has answered."""

    def log_message(self, *_):
        pass

    def send(self, type, **rest):
        self.wfile.write(f'event: {type}\ndata: {json.dumps({"type": type, **rest})}\n\n'.encode())

    def do_POST(self):
        messages = json.loads(self.rfile.read(int(self.headers['content-length'])))['messages']
        text = json.dumps(messages)
        is_main = 'hello' in json.dumps(messages[0])
        block, delta = {'type': 'text', 'text': ''}, {'type': 'text_delta', 'text': 'answer of the subagent'}
        if is_main and 'tool_result' not in text:
            block = {'type': 'tool_use', 'id': 'toolu_1', 'name': 'Agent', 'input': {}}
            delta = {'type': 'input_json_delta', 'partial_json': json.dumps(AGENT)}
        elif is_main:
            answered.wait(30)
            delta['text'] = 'it is under way'
            if 'answer of the subagent' in text:
                delta['text'] = 'now I know its answer'
                told.set()
        self.send_response(200)
        self.send_header('content-type', 'text/event-stream')
        self.end_headers()
        usage = {'input_tokens': 1, 'output_tokens': 1}
        message = {'id': os.urandom(4).hex(), 'type': 'message', 'role': 'assistant', 'model': 'm', 'content': []}
        self.send('message_start', message={**message, 'stop_reason': None, 'stop_sequence': None, 'usage': usage})
        self.send('content_block_start', index=0, content_block=block)
        self.send('content_block_delta', index=0, delta=delta)
        self.send('content_block_stop', index=0)
        stop_reason = 'tool_use' if block['type'] == 'tool_use' else 'end_turn'
        self.send('message_delta', delta={'stop_reason': stop_reason, 'stop_sequence': None}, usage=usage)
        self.send('message_stop')
        if not is_main:
            answered.set()


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
            print('text:', event.delta)
        elif event.type == 'TOOL_CALL_RESULT':
            print('result:', event.content[:34])
        elif event.type == 'MESSAGES_SNAPSHOT':
            print('snapshot:', *[f'{each.role} "{each.content}"' for each in event.messages if each.role == 'assistant'])
        elif event.type in ('RUN_FINISHED', 'RUN_ERROR'):
            print(event.type.value)
    if await asyncio.to_thread(told.wait, 30):
        print('the model is asked again')
    await adapter.shutdown()


asyncio.run(main())
PY
got=$(env -i PATH="$PATH" HOME="$folder" ANTHROPIC_API_KEY=none CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 \
  env/bin/python run.py 2>/dev/null)
echo "$got"
# Seen on 2026-11-28, Claude Code 2.1.332 (in claude-agent-sdk), Python 3.11.7.
expected='result: Async agent launched successfully.
text: it is under way
snapshot: assistant "None" assistant "answer of the subagent" assistant "it is under way"
RUN_FINISHED
the model is asked again'
[ "$got" = "$expected" ] || { echo 'not as it was seen' >&2; exit 1; }
