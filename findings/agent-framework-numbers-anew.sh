#!/usr/bin/env bash
# agent-framework-ag-ui (Microsoft, Python): an agent with a session sends the whole history with every run, and gives the
# person's messages new ids each time, while the answers keep the server's ids. Unless `metadata` names a thread, each run of
# the session goes to a thread of its own. A server that knows messages by their ids takes every turn for a foreign one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check agent-framework-ag-ui==1.7.0 agent-framework-core==1.23.0 >/dev/null
cat >run.py <<'PY'
import asyncio
import http.server
import importlib.metadata
import json
import threading

from agent_framework import Agent
from agent_framework_ag_ui import AGUIChatClient

inputs = []


class Server(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers['content-length'])))
        inputs.append(body)
        run = {'threadId': body['thread_id'], 'runId': body['run_id']}
        message = {'messageId': f'answer-{len(inputs)}'}
        events = [
            {'type': 'RUN_STARTED', **run},
            {'type': 'TEXT_MESSAGE_START', 'role': 'assistant', **message},
            {'type': 'TEXT_MESSAGE_CONTENT', 'delta': 'words', **message},
            {'type': 'TEXT_MESSAGE_END', **message},
            {'type': 'RUN_FINISHED', **run},
        ]
        self.send_response(200)
        self.send_header('content-type', 'text/event-stream')
        self.end_headers()
        self.wfile.write(''.join(f'data: {json.dumps(event)}\n\n' for event in events).encode())

    def log_message(self, *_):
        pass


async def talk(url, options):
    inputs.clear()
    async with AGUIChatClient(endpoint=url) as client:
        agent = Agent(name='agent', client=client)
        session = agent.create_session()
        for prompt in ['one', 'two', 'three']:
            await agent.run(prompt, session=session, options=options)
    threads = {body['thread_id'] for body in inputs}
    *_, last = inputs
    roles = ' '.join(message['role'] for message in last['messages'])
    questions = {body['messages'][0]['id'] for body in inputs}
    answers = {body['messages'][1]['id'] for body in inputs[1:]}
    ids = f'ids of the first question: {len(questions)}, of its answer: {len(answers)}'
    return f'threads: {len(threads)}; {roles}; {ids}'


server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f'http://127.0.0.1:{server.server_address[1]}/'
print('agent-framework-ag-ui', importlib.metadata.version('agent-framework-ag-ui'))
print('a session:', asyncio.run(talk(url, {})))
print('a session and a thread:', asyncio.run(talk(url, {'metadata': {'thread_id': 'thread'}})))
PY
got=$(env/bin/python run.py)
echo "$got"
# Seen on 2026-11-28, Python 3.11.7; three runs each.
expected='agent-framework-ag-ui 1.7.0
a session: threads: 3; user assistant user assistant user; ids of the first question: 3, of its answer: 1
a session and a thread: threads: 1; user assistant user assistant user; ids of the first question: 3, of its answer: 1'
[ "$got" = "$expected" ] || { echo 'not as it was seen' >&2; exit 1; }
