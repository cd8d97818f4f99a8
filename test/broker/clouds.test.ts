// The clouds: what Claude Code leaves unsigned goes out signed, for servers that check it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { SESSION_HEADER } from '../../src/model-route/credentials.ts'
import { AWS as CANARY, expectedSignature } from '../support/bedrock.ts'
import { broker, closeAfterTest, closeAll, upstream } from './door-run.ts'

afterEach(closeAll)

/** No text at all: a frame of AWS's event stream has lengths and checksums. */
const BINARY = Buffer.from([0, 0, 0, 1, 0xff, 0xfe, 0x0d, 0x0a, 0x80, 0, 0xc3, 0x28])
const { id: ID, secret: SECRET } = CANARY

async function cloud() {
  return await upstream((_, response) => {
    response.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream', 'x-amzn-requestid': 'r' })
    response.end(BINARY)
  })
}

const MODEL = '/model/eu.anthropic.claude-opus-4-5-20251101-v1%3A0'

describe('Bedrock', () => {
  const AWS = { CLAUDE_CODE_USE_BEDROCK: '1', AWS_REGION: 'eu-west-1' }

  test('is asked with a signature over the body, and its binary stream comes back as it is', async () => {
    const { url: base, seen } = await cloud()
    const keys = { AWS_ACCESS_KEY_ID: ID, AWS_SECRET_ACCESS_KEY: SECRET }
    const { url, token } = await broker({ ...AWS, ...keys, ANTHROPIC_BEDROCK_BASE_URL: base })
    const answer = await fetch(`${url}${MODEL}/invoke-with-response-stream`, {
      ...{ method: 'POST', body: '{"max_tokens":1}' },
      headers: {
        'content-type': 'application/json',
        [SESSION_HEADER]: token,
        'x-amz-security-token': 'mine',
      },
    })
    expect(Buffer.from(await answer.arrayBuffer())).toEqual(BINARY)
    const [first] = seen
    if (first === undefined) throw new Error('nothing was asked')
    expect(first).toMatchObject({ url: `${MODEL}/invoke-with-response-stream` })
    expect(first.headers).not.toHaveProperty('x-amz-security-token')
    expect(first.headers).not.toHaveProperty(SESSION_HEADER)
    expect(first.headers.authorization).toBe(await expectedSignature(first))
    expect(await expectedSignature({ ...first, body: Buffer.from('{}') })).not.toBe(
      first.headers.authorization,
    )
  })

  test('is asked with the bearer token where there is one', async () => {
    const { url: base, seen } = await cloud()
    const { url, token } = await broker({
      ...AWS,
      AWS_BEARER_TOKEN_BEDROCK: SECRET,
      ANTHROPIC_BEDROCK_BASE_URL: base,
    })
    await fetch(`${url}${MODEL}/invoke`, { method: 'POST', body: '{}', headers: { [SESSION_HEADER]: token } })
    expect(seen[0]?.headers.authorization).toBe(`Bearer ${SECRET}`)
  })

  test.each([
    '/model/a%2f..%2fb/invoke',
    '/model/a/converse',
    '/model//invoke',
    '/model/../invoke',
    '/foundation-models',
    `${MODEL}/invoke?x=1`,
    '/inference-profiles?type=SYSTEM_DEFINED',
  ])('is not asked for %s', async (path) => {
    const { url: base, seen } = await cloud()
    const { url, token } = await broker({
      ...AWS,
      AWS_BEARER_TOKEN_BEDROCK: SECRET,
      ANTHROPIC_BEDROCK_BASE_URL: base,
    })
    const answer = await fetch(`${url}${path}`, {
      method: 'POST',
      body: '{}',
      headers: { [SESSION_HEADER]: token },
    })
    expect(answer.status).toBe(403)
    expect(seen).toEqual([])
  })
})

describe('Vertex', () => {
  const TOKEN = {
    ...{ access_token: 'ya29.canary', expires_in: 3600, token_type: 'Bearer' },
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  }

  /** A token server, and a model that wants its token. */
  async function open() {
    const { url: base, seen } = await upstream((request, response) => {
      const isToken = request.url === '/token'
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify(isToken ? TOKEN : {}))
    })
    const directory = mkdtempSync(join(tmpdir(), 'agui-vertex-'))
    closeAfterTest(async () => rmSync(directory, { recursive: true }))
    // Workload identity federation: the one kind of credential whose token server the file names.
    const [file, subject] = [join(directory, 'federation.json'), join(directory, 'subject')]
    writeFileSync(subject, 'canary-subject')
    writeFileSync(
      file,
      JSON.stringify({
        ...{ type: 'external_account', audience: '//iam.googleapis.com/x', token_url: `${base}/token` },
        ...{
          subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
          credential_source: { file: subject },
        },
      }),
    )
    const opened = await broker({
      ...{ CLAUDE_CODE_USE_VERTEX: '1', ANTHROPIC_VERTEX_PROJECT_ID: 'p', CLOUD_ML_REGION: 'europe-west1' },
      ...{ GOOGLE_APPLICATION_CREDENTIALS: file, ANTHROPIC_VERTEX_BASE_URL: `${base}/v1` },
    })
    const ask = (path: string) =>
      fetch(`${opened.url}${path}`, {
        method: 'POST',
        body: '{}',
        headers: { [SESSION_HEADER]: opened.token },
      })
    return { ask, asked: () => seen.filter(({ url }) => url !== '/token') }
  }

  const of = (project: string, location: string, model: string) =>
    `/v1/projects/${project}/locations/${location}/publishers/anthropic/models/${model}`

  test('is asked with a token of Google’s', async () => {
    const { ask, asked } = await open()
    const path = of('p', 'europe-west1', 'claude-opus-4-5@20251101:streamRawPredict')
    expect((await ask(path)).status).toBe(200)
    expect(asked()).toMatchObject([{ url: path, headers: { authorization: 'Bearer ya29.canary' } }])
  })

  test.each([
    of('other', 'europe-west1', 'claude-x:rawPredict'),
    of('p', 'us-east5', 'claude-x:rawPredict'),
    of('p', 'europe-west1', 'claude-x:predict'),
    of('p', 'europe-west1', 'a%2f..:rawPredict'),
    '/v1/projects/p/locations/europe-west1/publishers/google/models/gemini:rawPredict',
  ])('is not asked for %s', async (path) => {
    const { ask, asked } = await open()
    expect((await ask(path)).status).toBe(403)
    expect(asked()).toEqual([])
  })
})
