// GitHub's REST API as far as the action asks it: rights of people, pull requests, an App's installation.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface FakeGitHub {
  readonly url: string
  /** Method and path of each request. */
  readonly asked: string[]
  /** What opened a pull request was authorized with. */
  readonly openedBy: (string | undefined)[]
  close(): Promise<void>
}

export interface FakeGitHubOptions {
  /** Of `acme/app`, by login. */
  rights: Readonly<Record<string, string>>
  /** `html_url` of the pull request that is opened. */
  pullRequest: (path: string) => string
}

export async function startFakeGitHub({ rights, pullRequest }: FakeGitHubOptions): Promise<FakeGitHub> {
  const asked: string[] = []
  const openedBy: (string | undefined)[] = []
  const server = createServer((request, response) => {
    const { method = '', url = '' } = request
    asked.push(`${method} ${url}`)
    request.resume()
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
    const login = /\/collaborators\/([^/]+)\/permission$/.exec(url)?.[1]
    if (login !== undefined) {
      const permission = rights[decodeURIComponent(login)]
      return permission === undefined ? answer(404, {}) : answer(200, { permission })
    }
    // An App whose key was deleted.
    if (url.endsWith('/installation'))
      return answer(401, { message: 'A JSON web token could not be decoded' })
    if (method === 'POST' && url.endsWith('/pulls')) {
      openedBy.push(request.headers.authorization)
      return answer(201, { number: 7, html_url: pullRequest(url) })
    }
    answer(404, { message: 'Not Found' })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    openedBy,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
