// The clouds behind a launch: the agent's place says which one, the broker has its credential.
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { AWS, startBedrock } from './bedrock.ts'
import { KEY, type Launchers } from './outside.ts'

const SUBJECT = 'canary-subject-held-outside'

export function cloudCases(outside: () => Launchers): void {
  const closers: (() => unknown)[] = []
  afterAll(() => {
    for (const close of closers) close()
  })

  test('Bedrock: the model is asked with a signature, whose key nothing inside has; its binary stream is understood', async () => {
    const { bench, run } = outside()
    const cloud = await startBedrock(bench.gateway.directUrl, { 'x-api-key': KEY })
    closers.push(() => cloud.close())
    const done = await run(['--workspace', 'none', '-p', 'hello'], {
      env: {
        ...{ ANTHROPIC_API_KEY: '', ANTHROPIC_BASE_URL: '', CLAUDE_CODE_USE_BEDROCK: '1' },
        ...{ AWS_REGION: AWS.region, AWS_ACCESS_KEY_ID: AWS.id, AWS_SECRET_ACCESS_KEY: AWS.secret },
        ANTHROPIC_BEDROCK_BASE_URL: cloud.url,
      },
    })
    expect(done).toEqual({
      code: 0,
      stdout: 'You said: hello\n',
      stderr: expect.stringContaining('private:'),
    })
    expect(cloud.asked).not.toEqual([])
    for (const asked of cloud.asked)
      expect(asked).toEqual({ path: expect.stringMatching(/^\/model\/[^/]+\/invoke/), isSigned: true })
  })

  test('Vertex: the model is asked with a token of Google’s, which nothing inside has', async () => {
    const { bench, run } = outside()
    const asked: { url: string | undefined; authorization: string | undefined }[] = []
    // A token server, and the model: what it is asked goes to the mock, which speaks the same in another envelope.
    const cloud = createServer(async (request, response) => {
      let body = ''
      for await (const piece of request) body += piece
      const token = { access_token: 'ya29.canary', expires_in: 3600, token_type: 'Bearer' }
      if (request.url === '/token') {
        const kind = { issued_token_type: 'urn:ietf:params:oauth:token-type:access_token' }
        return void response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(JSON.stringify({ ...token, ...kind }))
      }
      const { url, headers } = request
      asked.push({ url, authorization: headers.authorization })
      const model = /models\/([^:]+):/.exec(url ?? '')?.[1]
      const answer = await fetch(`${bench.gateway.directUrl}/v1/messages`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'x-api-key': KEY,
          'anthropic-version': '2023-06-01',
        },
        body: JSON.stringify({ ...JSON.parse(body), model, anthropic_version: undefined }),
      })
      response.writeHead(answer.status, { 'content-type': String(answer.headers.get('content-type')) })
      for await (const piece of answer.body ?? []) response.write(piece)
      response.end()
    })
    cloud.listen(0, '127.0.0.1')
    await once(cloud, 'listening')
    closers.push(
      () => cloud.closeAllConnections(),
      () => cloud.close(),
    )
    const base = `http://127.0.0.1:${(cloud.address() as AddressInfo).port}`
    const [file, subject] = [join(bench.directory, 'federation.json'), join(bench.directory, 'subject')]
    writeFileSync(subject, SUBJECT)
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
    const done = await run(['--workspace', 'none', '-p', 'hello'], {
      env: {
        ...{ ANTHROPIC_API_KEY: '', ANTHROPIC_BASE_URL: '', CLAUDE_CODE_USE_VERTEX: '1' },
        ...{ ANTHROPIC_VERTEX_PROJECT_ID: 'p', CLOUD_ML_REGION: 'europe-west1' },
        ...{ GOOGLE_APPLICATION_CREDENTIALS: file, ANTHROPIC_VERTEX_BASE_URL: `${base}/v1` },
      },
    })
    expect(done).toEqual({
      code: 0,
      stdout: 'You said: hello\n',
      stderr: expect.stringContaining('private:'),
    })
    expect(asked.length).toBeGreaterThan(0)
    expect(new Set(asked.map(({ authorization }) => authorization))).toEqual(new Set(['Bearer ya29.canary']))
    expect(asked[0]?.url).toMatch(
      /^\/v1\/projects\/p\/locations\/europe-west1\/publishers\/anthropic\/models\//,
    )
  })
}
