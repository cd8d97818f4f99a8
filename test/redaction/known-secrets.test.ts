import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { isSecretName, readKnownSecrets } from '../../src/redaction/known-secrets.ts'
import { createRedactor } from '../../src/redaction/redactor.ts'
import { FAKE_PEM, fake } from './fake-secrets.ts'

const directory = mkdtempSync(join(tmpdir(), 'agui-redaction-test-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

function file(name: string, content: string): string {
  const path = join(directory, name)
  writeFileSync(path, content)
  return path
}

const value = fake(24)

test.each([
  'AGUI_TOKEN',
  'ANTHROPIC_API_KEY',
  'GITHUB_TOKEN',
  'PGPASSWORD',
  'DB_PASSWD',
  'my_secret',
  'APIKEY',
  'GITLAB_PAT',
  'AWS_SECRET_ACCESS_KEY',
  'OAUTH_CLIENT_SECRETS',
  'SSH_KEY_PASSPHRASE',
  'clientSecret',
  'private_key',
  'x-api-key',
])('%s says that its value is secret', (name) => {
  expect(isSecretName(name)).toBe(true)
  expect(readKnownSecrets({ [name]: value })).toEqual([value])
})

test.each([
  'PATH',
  'MONKEY',
  'KEYBOARD',
  'TOKENIZERS_PARALLELISM',
  'KEYCLOAK_URL',
  'PASSENGER_HOME',
  'PWD',
  'COMPASS',
])('%s does not', (name) => expect(readKnownSecrets({ [name]: value })).toEqual([]))

test('placeholders and short values are no secrets', () => {
  const env = {
    GITHUB_TOKEN: 'openshell:resolve:env:GITHUB_TOKEN',
    ANTHROPIC_API_KEY: 'inference-routing',
    OPENAI_API_KEY: 'notused',
    MAX_THINKING_TOKENS: '31999',
    EMPTY_KEY: '',
  }
  expect(readKnownSecrets(env)).toEqual([])
})

test('a password inside an address is one, as written and decoded', () => {
  const env = {
    HTTPS_PROXY: 'http://user:p%40ss%2Fword1@proxy:3128',
    DATABASE_URL: `postgres://a:${value}@db/x`,
  }
  expect(readKnownSecrets(env)).toEqual(['p%40ss%2Fword1', 'p@ss/word1', value])
  expect(readKnownSecrets({ HTTPS_PROXY: 'http://proxy:3128' })).toEqual([])
})

test('headers for the model are looked into', () => {
  const env = { ANTHROPIC_CUSTOM_HEADERS: `X-Team: reds\nAuthorization: Bearer ${value}` }
  expect(readKnownSecrets(env)).toEqual([value])
})

test('headers for a collector are all secret, whatever their names', () => {
  const env = {
    OTEL_EXPORTER_OTLP_HEADERS: `x-team=${value},Authorization=Bearer%20${fake(24, undefined, 9)}`,
  }
  expect(readKnownSecrets(env)).toEqual([value, fake(24, undefined, 9)])
})

describe('in files that were given', () => {
  test('a service account', () => {
    const path = file('account.json', JSON.stringify({ type: 'service_account', private_key: FAKE_PEM }))
    const values = readKnownSecrets({ GOOGLE_APPLICATION_CREDENTIALS: path })
    expect(values).toEqual([FAKE_PEM])
    const line = FAKE_PEM.split('\n')[3] ?? ''
    expect(createRedactor({ values }).redactText(`  3 ${line}`)).toBe('  3 [redacted]')
  })

  test('assignments', () => {
    const text = `[default]\naws_access_key_id = AK\naws_secret_access_key = ${value}\nregion = eu\n`
    expect(readKnownSecrets({ AWS_SHARED_CREDENTIALS_FILE: file('aws', text) })).toEqual([value])
  })

  test('a token alone', () => {
    expect(readKnownSecrets({ AWS_WEB_IDENTITY_TOKEN_FILE: file('token', `${value}\n`) })).toEqual([value])
  })

  test('the configuration of MCP servers', () => {
    const servers = {
      one: { url: 'https://mcp.example', headers: { Authorization: `Bearer ${value}` } },
      two: { command: 'server', env: { SERVICE_TOKEN: `${value}-2`, MODE: 'fast-and-loose' } },
    }
    const path = file('mcp.json', JSON.stringify({ mcpServers: servers }))
    expect(readKnownSecrets({}, [path])).toEqual([value, `${value}-2`])
  })

  test('a file that is not there is not missed', () => {
    expect(readKnownSecrets({}, [join(directory, 'none')])).toEqual([])
  })
})
