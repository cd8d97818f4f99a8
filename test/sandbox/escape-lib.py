# Shared by the escape attempts: each is a short script that prints REACHED when it got what it must not get.
import ctypes, os, socket, ssl, struct, subprocess, sys

E = os.environ
OUT, WS, STATE = E['ESC_OUTSIDE'], E['ESC_WORKSPACE'], E['ESC_STATE']
TCP, TCP6, UDP, PROXY, RUNNER = (int(E[k]) for k in ('ESC_TCP', 'ESC_TCP6', 'ESC_UDP', 'ESC_PROXY', 'ESC_RUNNER'))
libc = ctypes.CDLL(None, use_errno=True)
X64 = os.uname().machine == 'x86_64'


def reached(fact=True):
    print('REACHED' if fact else 'no')


def read(path):
    with open(path, 'rb') as file:
        return file.read()


def write(path, mode='ab'):
    with open(path, mode) as file:
        file.write(b'escaped\n')
    reached()


def canary(data):
    reached(b'CANARY' in data)


def talk(family, kind, address, data=b'GET / HTTP/1.0\r\n\r\n'):
    s = socket.socket(family, kind)
    s.settimeout(2)
    s.connect(address)
    s.send(data)
    canary(s.recv(4096))


def drain(s):
    s.settimeout(3)
    data = b''
    try:
        while len(data) < 65536:
            piece = s.recv(4096)
            if not piece:
                break
            data += piece
            if b'CANARY' in data:
                break
    except OSError:
        pass
    return data


def px(data):
    s = socket.create_connection(('127.0.0.1', PROXY), 3)
    s.sendall(data)
    return drain(s)


def tunnel(target, extra=b''):
    s = socket.create_connection(('127.0.0.1', PROXY), 3)
    s.settimeout(5)
    t = target.encode('latin1', 'replace') if isinstance(target, str) else target
    s.sendall(b'CONNECT ' + t + b' HTTP/1.1\r\nHost: ' + t + b'\r\n' + extra + b'\r\n')
    head = b''
    while b'\r\n\r\n' not in head:
        piece = s.recv(1)
        if not piece:
            break
        head += piece
    if b' 200' not in head.split(b'\r\n')[0]:
        raise SystemExit('refused: ' + (head + drain(s)).decode('latin1'))
    return s


def connected(target):
    # The tunnel stands: whatever goes through it now is nobody's to judge.
    tunnel(target)
    reached()


def tls(target, sni=None, alpn=None):
    context = ssl._create_unverified_context()
    if alpn:
        context.set_alpn_protocols(alpn)
    return context.wrap_socket(tunnel(target), server_hostname=sni or target.split(':')[0])


def ask(target, request, sni=None, alpn=None):
    s = tls(target, sni, alpn)
    s.sendall(request)
    data = drain(s)
    print(data[:300])
    return data


def get(path='/', method='GET', host='api.example.test', extra=''):
    return f'{method} {path} HTTP/1.1\r\nHost: {host}\r\n{extra}Connection: close\r\n\r\n'.encode()


def post(host, body, path='/', extra=''):
    head = f'POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n{extra}'
    data = f'{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}'.encode()
    return ask(f'{host}:443', data)


def message(host, text):
    # A WebSocket by hand; what comes back behind the handshake is the server's word on the message.
    s = tls(f'{host}:443')
    extra = 'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
    s.sendall(get(host=host, extra=extra).replace(b'Connection: close', b'Connection: Upgrade'))
    head = s.recv(4096)
    s.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
    return drain(s) if b' 101 ' in head else b''


def call(x64, arm64, *args):
    ctypes.set_errno(0)
    got = libc.syscall(x64 if X64 else arm64, *args)
    print('syscall', got, os.strerror(ctypes.get_errno()) if got < 0 else '')
    return got


def allowed(x64, arm64, *args):
    reached(call(x64, arm64, *args) >= 0)


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, timeout=6, **options)
    print(done.stdout[-300:], done.stderr[-300:])
    return done


def drive(folder):
    from concurrent.futures import ThreadPoolExecutor
    import json

    def attempt(name):
        try:
            done = subprocess.run([sys.executable, os.path.join(folder, name)], cwd=WS, timeout=12,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            text = done.stdout.decode('utf8', 'replace')
        except subprocess.TimeoutExpired:
            text = 'timed out'
        lines = text.strip().splitlines() or ['']
        return name[:-3], {'reached': 'REACHED' in lines, 'said': ' | '.join(lines[-2:])[-240:]}

    names = sorted(n for n in os.listdir(folder) if n.endswith('.py') and n != 'lib.py')
    with ThreadPoolExecutor(4) as pool:
        print('RESULT ' + json.dumps(dict(pool.map(attempt, names))))


if __name__ == '__main__':
    drive(sys.argv[1])
