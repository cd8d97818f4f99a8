import { expect, test } from 'vitest'
import { loadConfig } from '../src/config.ts'

const DEFAULTS = { appDirectory: '/app', workingDirectory: '/tmp' }
const LINK = { SESSION_ID: 's', AMBIENT_GRPC_ENABLED: 'true', AMBIENT_GRPC_URL: 'api.team.svc:9000' }
const BOOTSTRAP = {
  ...LINK,
  AMBIENT_GRPC_USE_TLS: 'true',
  AMBIENT_CP_TOKEN_URL: 'https://cp.team.svc/token',
  AMBIENT_RUNNER_BOOTSTRAP_TOKEN: 'acp-runner-v1.a.b',
}
const load = (env: Record<string, string>) => loadConfig(env, DEFAULTS)

test('without both variables there is no link, and exits say how a run ended', () => {
  for (const env of [
    {},
    { AMBIENT_GRPC_URL: 'x:1' },
    { ...LINK, AMBIENT_GRPC_ENABLED: 'false', AMBIENT_GRPC_URL: 'http://x', BOT_TOKEN: 'of another\n' },
  ])
    expect(load(env)).toMatchObject({ platformLink: undefined, exitCodes: 'detailed' })
  expect(load(LINK)).toMatchObject({ exitCodes: 'zero' })
  expect(load({ ...LINK, AGUI_EXIT_CODES: 'detailed' })).toMatchObject({ exitCodes: 'detailed' })
})

test.each([
  [LINK, { kind: 'none' }],
  [
    { ...LINK, BOT_TOKEN: 't' },
    { kind: 'fixed', token: 't' },
  ],
  [{ ...LINK, AMBIENT_CP_TOKEN_URL: 'http://cp/t', AMBIENT_CP_TOKEN_PUBLIC_KEY: 'k' }, { kind: 'session' }],
  [{ ...BOOTSTRAP, AMBIENT_CP_TOKEN_PUBLIC_KEY: 'k', BOT_TOKEN: 't' }, { kind: 'bootstrap' }],
])('%j: the token comes from %j', (env, tokens) => {
  expect(load(env).platformLink?.tokens).toMatchObject(tokens)
})

test.each([
  [{ SESSION_ID: '' }, 'SESSION_ID: must be set'],
  [{ AMBIENT_GRPC_URL: '' }, 'AMBIENT_GRPC_URL: must be set'],
  [{ AMBIENT_GRPC_URL: 'https://api:9000' }, 'AMBIENT_GRPC_URL: must be host:port'],
  [{ AMBIENT_GRPC_URL: 'api' }, 'AMBIENT_GRPC_URL: must be host:port'],
  [{ AMBIENT_GRPC_URL: 'fd00::7:9000' }, 'AMBIENT_GRPC_URL: must be host:port'],
  [{ AMBIENT_GRPC_USE_TLS: 'false' }, 'AMBIENT_GRPC_USE_TLS: must be true'],
  [{ AMBIENT_CP_TOKEN_URL: 'http://cp/token' }, 'must be an https:// URL'],
  [{ AMBIENT_CP_TOKEN_URL: 'https://u:SECRET@cp/token' }, 'no user name and no password'],
  [{ AMBIENT_CP_TOKEN_URL: '' }, 'needs AMBIENT_CP_TOKEN_URL'],
  [{ AMBIENT_RUNNER_BOOTSTRAP_TOKEN: '' }, 'needs AMBIENT_RUNNER_BOOTSTRAP_TOKEN or'],
  [{ AMBIENT_ALLOW_INSECURE_RUNNER_TRANSPORT: 'TRUE', AMBIENT_GRPC_USE_TLS: '' }, 'AMBIENT_GRPC_USE_TLS'],
  [{ AMBIENT_RUNNER_BOOTSTRAP_TOKEN: 'acp-runner-v1.a.b\n' }, 'AMBIENT_RUNNER_BOOTSTRAP_TOKEN: must be one'],
  [{ BOT_TOKEN: 'SECRET SECRET' }, 'BOT_TOKEN: must be one word'],
  [{ BOT_TOKEN: 'SECRET-é' }, 'BOT_TOKEN: must be one word'],
  [{ RESUME_AFTER_SEQ: '-1' }, 'RESUME_AFTER_SEQ: must be a whole number'],
  [{ RESUME_AFTER_SEQ: '1e3' }, 'RESUME_AFTER_SEQ: must be a whole number'],
])('%j is refused, without its value', (wrong, says) => {
  const start = () => load({ ...BOOTSTRAP, ...wrong })
  expect(start).toThrow(says)
  expect(start).not.toThrow(/SECRET|acp-runner/)
})

test.each(['http://x', 'x:80', 'x/', 'a b', '*.svc.local', 'x,fd00::1:8001x'])(
  '%j is no list of hosts',
  (hosts) => {
    expect(() => load({ AGUI_ALLOWED_HOSTS: hosts })).toThrow('AGUI_ALLOWED_HOSTS: must list names')
  },
)

test('https is a scheme in any spelling', () => {
  expect(load({ ...BOOTSTRAP, AMBIENT_CP_TOKEN_URL: 'HTTPS://cp.team.svc/token' }).platformLink).toBeDefined()
})

test('insecure transport is allowed by exactly true', () => {
  const env = { ...BOOTSTRAP, AMBIENT_GRPC_USE_TLS: '', AMBIENT_CP_TOKEN_URL: 'http://cp/t' }
  expect(load({ ...env, AMBIENT_ALLOW_INSECURE_RUNNER_TRANSPORT: 'true' }).platformLink?.useTls).toBe(false)
})
