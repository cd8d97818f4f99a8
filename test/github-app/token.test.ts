// `agui-runner token` against a GitHub on the loopback that verifies what it is shown.
import { execFile } from 'node:child_process'
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readAppKey } from '../../src/cli/app-key.ts'
import { APP_KEY, issuerOf } from '../support/app-server.ts'
import { openCommandLines, type Said } from '../support/command-lines.ts'

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname
const TOKEN = `gh${'s'}_4242_${'a'.repeat(60)}.${'b'.repeat(60)}.c`

interface Asked {
  line: string
  body: unknown
}

let asked: Asked[]
let troubles: number
let granted: Record<string, string>
let server: Server
let api: string
let folder: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'agui-app-token-'))
  writeFileSync(join(folder, 'key.pem'), APP_KEY, { mode: 0o600 })
  server = createServer(async (request, response) => {
    const answer = (status: number, body?: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(body === undefined ? undefined : JSON.stringify(body))
    }
    const line = `${request.method} ${request.url}`
    const body: unknown = request.method === 'POST' ? await json(request) : undefined
    asked.push({ line, body })
    if (troubles > 0) {
      troubles -= 1
      return answer(503, { message: 'Service unavailable' })
    }
    if (line === 'DELETE /installation/token')
      return request.headers.authorization?.endsWith(` ${TOKEN}`)
        ? answer(204)
        : answer(401, { message: 'Bad credentials' })
    if (issuerOf(request.headers.authorization) !== '4242') return answer(401, { message: 'Bad JWT' })
    if (/^GET \/(repos\/acme\/app\/installation|app\/installations\/7)$/.test(line))
      return answer(200, { id: 7, permissions: granted })
    if (line === 'POST /app/installations/7/access_tokens') {
      const { repositories } = body as { repositories: string[] }
      if (repositories.includes('foreign'))
        return answer(422, { message: 'There is at least one repository that does not exist.' })
      return answer(201, {
        token: TOKEN,
        expires_at: '2100-01-01T00:00:00Z',
        permissions: granted,
        repositories: [],
      })
    }
    answer(404, { message: 'Not Found' })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  api = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
})
afterAll(() => {
  server.close()
  rmSync(folder, { recursive: true, force: true })
})
beforeEach(() => {
  asked = []
  troubles = 0
  granted = { contents: 'write', pull_requests: 'write', metadata: 'read' }
})

const lines = openCommandLines()
afterAll(() => lines.close())

const environment = (env: Record<string, string> = {}): Record<string, string> => ({
  HOME: folder,
  GITHUB_API_URL: api,
  GITHUB_APP_ID: '4242',
  ...env,
})
/** In a folder of its own. */
const token = (args: string[], env: Record<string, string> = {}): Promise<Said> =>
  lines.run(['token', ...args], { cwd: folder, env: environment(env) })

/** The same as a process of its own, which has a stdin. */
async function tokenProcess(args: string[], stdin?: string): Promise<Said> {
  const env = { PATH: process.env['PATH'] ?? '', ...environment() }
  const child = execFile(process.execPath, [MAIN, 'token', ...args], { cwd: folder, env })
  child.stdin?.end(stdin)
  let [stdout, stderr] = ['', '']
  child.stdout?.on('data', (text: string) => (stdout += text))
  child.stderr?.on('data', (text: string) => (stderr += text))
  const [code] = await once(child, 'close')
  return { code, stdout, stderr }
}

const APP = ['--repository', 'acme/app']
const MINT = ['mint', ...APP, '--key-file', 'key.pem']

test('stdout is the token and a line end; GitHub is asked for these repositories and rights only', async () => {
  expect(await tokenProcess(MINT)).toEqual({
    code: 0,
    stdout: `${TOKEN}\n`,
    stderr: 'Good until 2100-01-01T00:00:00.000Z.\n',
  })
  expect(asked).toEqual([
    { line: 'GET /repos/acme/app/installation', body: undefined },
    {
      line: 'POST /app/installations/7/access_tokens',
      body: { repositories: ['app'], permissions: { contents: 'write', pull_requests: 'write' } },
    },
  ])
  // Nothing of it is kept.
  expect(readdirSync(folder)).toEqual(['key.pem'])
})

test.each([
  ['a file', ['--key-file', 'key.pem'], token],
  ['stdin', ['--key-file', '-'], (args: string[]) => tokenProcess(args, APP_KEY)],
  ['the variable', [], (args: string[]) => token(args, { GITHUB_APP_PRIVATE_KEY: APP_KEY })],
  [
    'a variable of one line',
    ['--key-env', 'KEY'],
    (args: string[]) => token(args, { KEY: APP_KEY.replaceAll('\n', '\\n') }),
  ],
  ['a command', ['--key-command', 'cat key.pem'], token],
])('the key comes from %s', async (_name, args, start) => {
  const one = [
    'mint',
    ...APP,
    '--repository',
    'acme/other',
    '--permission',
    'contents:read',
    '--installation-id',
    '7',
  ]
  expect(await start([...one, ...args])).toMatchObject({ code: 0, stdout: `${TOKEN}\n` })
  expect(asked.map(({ body }) => body).at(-1)).toEqual({
    repositories: ['app', 'other'],
    permissions: { contents: 'read' },
  })
})

test('a right that the App lacks is named, and no token is asked for', async () => {
  granted = { contents: 'read', metadata: 'read' }
  const { code, stdout, stderr } = await token(MINT)
  expect([code, stdout]).toEqual([2, ''])
  expect(stderr).toContain('was not granted contents:write, pull_requests:write for acme')
  expect(asked).toHaveLength(1)
})

test.each([
  [
    'the App is not installed there',
    ['mint', '--repository', 'acme/none', '--key-file', 'key.pem'],
    'not installed on acme/none',
  ],
  [
    'it has no access to one',
    [...MINT, '--repository', 'acme/foreign'],
    'no access to acme/app, acme/foreign',
  ],
  ['the App is another', [...MINT, '--app-id', '1'], 'refuses the App’s signature'],
  ['one twice', [...MINT, '--repository', 'ACME/App'], 'named twice'],
  ['two owners', [...MINT, '--repository', 'other/app'], 'one owner’s repositories'],
  ['no repository', ['mint', '--repository', '../..', '--key-file', 'key.pem'], 'write OWNER/NAME'],
  ['no key', ['mint', ...APP], '--key-env GITHUB_APP_PRIVATE_KEY: it is empty'],
  ['two keys', [...MINT, '--key-env', 'KEY'], 'name it once'],
  ['a file that is not there', ['mint', ...APP, '--key-file', 'none.pem'], '--key-file none.pem: ENOENT'],
  [
    'a command that fails',
    ['mint', ...APP, '--key-command', 'echo secret words; exit 3'],
    '--key-command: it ended with 3',
  ],
  ['no key in it', ['mint', ...APP, '--key-command', 'echo secret words'], 'no RSA private key'],
  ['a wrong right', [...MINT, '--permission', 'contents'], 'contents:read'],
  [
    'a right twice',
    [...MINT, '--permission', 'contents:read', '--permission', 'contents:write'],
    'given twice',
  ],
  ['a wrong installation', [...MINT, '--installation-id', '0x7'], 'It is a number'],
])('refused with one sentence: %s', async (_name, args, words) => {
  const { code, stdout, stderr } = await token(args)
  expect([code, stdout]).toEqual([2, ''])
  expect(stderr).toContain(words)
  expect(stderr).not.toMatch(/secret words|PRIVATE KEY-----|\n\s+at /)
})

test("GitHub's own trouble is met by trying again, and told when it lasts", async () => {
  troubles = 2
  expect(await token(MINT)).toMatchObject({ code: 0, stdout: `${TOKEN}\n` })
  troubles = 100
  const { code, stderr } = await token(MINT)
  expect([code, stderr]).toEqual([1, expect.stringContaining('GitHub did not answer as it should')])
})

test.each([
  [
    'who has asked too often',
    (response: ServerResponse) => {
      response.writeHead(403, { 'x-ratelimit-remaining': '0', 'content-type': 'application/json' })
      response.end('{"message":"API rate limit exceeded"}')
    },
    'API rate limit exceeded',
  ],
  [
    'a page of a proxy',
    (response: ServerResponse) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
    'its answer is no JSON',
  ],
  [
    'JSON of something else',
    (response: ServerResponse) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"id":"7","permissions":{}}'),
    'id: Invalid input: expected number, received string',
  ],
])('%s is GitHub’s trouble, and said in one sentence', async (_name, answer, words) => {
  const other = createServer((_request, response) => void answer(response)).listen(0, '127.0.0.1')
  await once(other, 'listening')
  const address = other.address()
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  const said = await token(MINT, { GITHUB_API_URL: url })
  other.close()
  const stderr = `agui-runner: GitHub did not answer as it should: ${words}.\n`
  expect(said).toEqual({ code: 1, stdout: '', stderr })
})

test('a token is revoked, from the variable or stdin, and a second time said to be none', async () => {
  expect(await token(['revoke'], { GITHUB_TOKEN: TOKEN })).toMatchObject({ code: 0, stdout: '' })
  expect(await tokenProcess(['revoke'], `${TOKEN}\n`)).toMatchObject({ code: 0, stdout: '' })
  expect(asked.map(({ line }) => line)).toEqual(['DELETE /installation/token', 'DELETE /installation/token'])
  expect(await token(['revoke'], { GITHUB_TOKEN: 'other' })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('no such token'),
  })
  for (const stdin of ['', 'two words\nof it', 'nul\0of it'])
    expect(await tokenProcess(['revoke'], stdin)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^(?!.*of it).*on stdin/s),
    })
})

describe('a key', () => {
  const pem = (key: KeyObject, more?: { cipher: string; passphrase: string }): string =>
    key.export({ type: 'pkcs8', format: 'pem', ...more }).toString()
  const rsa = createPrivateKey(APP_KEY)
  const env = {
    PATH: process.env['PATH'],
    KEY: pem(rsa),
    PKCS1: APP_KEY,
    SHUT_PKCS1: rsa
      .export({ type: 'pkcs1', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
      .toString(),
    SHUT: pem(rsa, { cipher: 'aes-256-cbc', passphrase: 'x' }),
    ELLIPTIC: pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
  }
  const byCommand = (command: string) => readAppKey({ command }, env)

  test.each([
    'echo "$KEY"',
    'echo "Bag Attributes"; echo "$KEY"; echo bye',
    'echo "$KEY" | sed "s/$/\\r/"',
    'cat; echo "$KEY"',
    'printf "%s" "$KEY" | tr "\\n" " "',
    'printf "%s" "$KEY" | tr -d "\\n"',
    'echo "$KEY" | sed "s/^/    /"',
    `printf '"%s"' "$(printf '%s' "$KEY" | sed 's/$/\\\\r\\\\n/' | tr -d '\\n')"`,
    'echo "$PKCS1" | tr "\\n" " "',
  ])('is what the App signs with, and no more, by %s', async (command) => {
    expect(await byCommand(command)).toBe(env.KEY)
  })

  test.each([
    ['kill $$', 'it was stopped'],
    ['exit 7', 'it ended with 7'],
    ['echo "$SHUT"', 'in PEM without a passphrase'],
    ['echo "$SHUT_PKCS1"', 'in PEM without a passphrase'],
    ['echo "$KEY" | head -5', 'no RSA private key'],
    ['echo "$KEY" | sed 3d', 'no RSA private key'],
    ['echo "$KEY" | sed "s/PRIVATE/PUBLIC/"', 'no RSA private key'],
    ['echo "$ELLIPTIC"', 'no RSA private key'],
    ['head -c 40000 /dev/zero', 'longer than 32768 bytes'],
    ['cat /dev/zero', 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER'],
  ])('is none by %s', async (command, words) => {
    await expect(byCommand(command)).rejects.toThrow(words)
  })
})

test("a command's own words are for whoever started it, also when it fails", async () => {
  const { code, stderr } = await tokenProcess([
    'mint',
    ...APP,
    '--key-command',
    'echo "vault is locked" >&2; exit 6',
  ])
  expect([code, stderr]).toEqual([2, expect.stringMatching(/^vault is locked\n.*it ended with 6/s)])
})
