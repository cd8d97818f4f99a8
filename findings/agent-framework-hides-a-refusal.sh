#!/usr/bin/env bash
# agent-framework-ag-ui (Microsoft, Python): its AG-UI client cannot say why a server has refused a run. It reads the body of
# a streamed answer before it was fetched, and so fails itself: whatever the status and the words, the app gets httpx's
# ResponseNotRead, which has neither. A retry after 429, or a sign-in after 401, has nothing to go by.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check agent-framework-ag-ui==1.7.0 httpx==0.28.1 >/dev/null
cat >run.py <<'PY'
import asyncio
import http.server
import importlib.metadata
import logging
import threading

from agent_framework import Message
from agent_framework_ag_ui import AGUIChatClient

logging.disable(logging.CRITICAL)


class Server(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = b'{"error": "the reason"}'
        self.send_response(int(self.path[1:]))
        self.send_header('content-type', 'application/json')
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


async def ask(url):
    try:
        async with AGUIChatClient(endpoint=url) as client:
            await client.get_response([Message('user', ['hello'])])
        return 'taken'
    except Exception as error:
        knows = [str(hasattr(error, 'response')), str('the reason' in str(error))]
        return f'{type(error).__module__}.{type(error).__name__}, status: {knows[0]}, words: {knows[1]}'


server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
for name in ['agent-framework-ag-ui', 'httpx']:
    print(name, importlib.metadata.version(name))
for status in [401, 409, 429, 503]:
    print(status, asyncio.run(ask(f'http://127.0.0.1:{server.server_address[1]}/{status}')))
PY
got=$(env/bin/python run.py)
echo "$got"
# Seen on 2026-11-28, Python 3.11.7.
expected='agent-framework-ag-ui 1.7.0
httpx 0.28.1
401 httpx.ResponseNotRead, status: False, words: False
409 httpx.ResponseNotRead, status: False, words: False
429 httpx.ResponseNotRead, status: False, words: False
503 httpx.ResponseNotRead, status: False, words: False'
[ "$got" = "$expected" ] || { echo 'not as it was seen' >&2; exit 1; }
