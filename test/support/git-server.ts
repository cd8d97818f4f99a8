import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deferred } from './deferred.ts'

export interface GitServer {
  readonly url: string
  readonly host: string
  /** What each request was authorized with, decoded; `undefined` for none. */
  readonly authorizations: (string | undefined)[]
  /** What every process of this machine showed of itself while a request was answered. */
  readonly sightings: string[]
  /** Resolves with the first request, past or to come. */
  asked(): Promise<void>
  /** Makes a repository of these files, each on the branches named. */
  addRepository(
    name: string,
    branches: Record<string, Record<string, string>>,
    options?: { objectFormat?: 'sha256' },
  ): string
  /** Runs git in the repository that is served; returns what it prints. */
  git(name: string, ...args: string[]): string
  close(): Promise<void>
}

export interface GitServerOptions {
  /** Asked of whoever comes, when set: the password alone decides. */
  password?: string
  /** Looks at all processes while it answers. */
  watched?: boolean
  /** Takes requests and never answers. */
  silent?: boolean
}

const GIT_ENV = {
  PATH: process.env['PATH'] ?? '',
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'test',
  GIT_AUTHOR_EMAIL: 'test@example.com',
  GIT_COMMITTER_NAME: 'test',
  GIT_COMMITTER_EMAIL: 'test@example.com',
}

export function git(cwd: string, ...args: string[]): string {
  return execFileSync('git', args, { cwd, env: GIT_ENV, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** git's own server behind node:http. */
export async function startGitServer(options: GitServerOptions = {}): Promise<GitServer> {
  const directory = mkdtempSync(join(tmpdir(), 'agui-runner-git-server-'))
  const authorizations: (string | undefined)[] = []
  const asked = deferred()
  const sightings: string[] = []
  const server = createServer((request, response) => {
    const basic = /^Basic (.+)$/.exec(request.headers.authorization ?? '')?.[1]
    const given = basic === undefined ? undefined : Buffer.from(basic, 'base64').toString()
    authorizations.push(given)
    asked.resolve()
    if (options.silent === true) return
    if (options.watched === true) sightings.push(...processes())
    if (options.password !== undefined && given?.split(':')[1] !== options.password) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end()
      return
    }
    serve(directory, request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  return {
    url,
    host: '127.0.0.1',
    authorizations,
    sightings,
    asked: () => asked.promise,
    addRepository(name, branches, { objectFormat = 'sha1' } = {}) {
      const work = join(directory, `${name}-work`)
      mkdirSync(work, { recursive: true })
      git(work, 'init', '--quiet', '--initial-branch=main', `--object-format=${objectFormat}`)
      for (const [branch, files] of Object.entries(branches)) {
        if (branch !== 'main') git(work, 'switch', '--quiet', '--create', branch)
        for (const [file, content] of Object.entries(files)) {
          mkdirSync(join(work, file, '..'), { recursive: true })
          writeFileSync(join(work, file), content)
        }
        git(work, 'add', '--all')
        git(work, 'commit', '--quiet', '--allow-empty', '--message', branch)
      }
      git(work, 'switch', '--quiet', 'main')
      git(directory, 'clone', '--quiet', '--bare', work, `${name}.git`)
      return `${url}/${name}.git`
    },
    git: (name, ...args) => git(join(directory, `${name}.git`), ...args).trim(),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function serve(directory: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? '/', 'http://localhost')
  const child = spawn('git', ['http-backend'], {
    env: {
      ...GIT_ENV,
      GIT_PROJECT_ROOT: directory,
      GIT_HTTP_EXPORT_ALL: '1',
      REQUEST_METHOD: request.method ?? 'GET',
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  request.pipe(child.stdin)
  child.stdin.on('error', () => {})
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.once('close', () => {
    const all = Buffer.concat(chunks)
    const end = all.indexOf('\r\n\r\n')
    const head = all.toString('latin1', 0, end).split('\r\n')
    const headers = Object.fromEntries(head.map((line) => line.split(': ', 2)))
    const status = Number.parseInt(headers['Status'] ?? '200', 10)
    delete headers['Status']
    response.writeHead(status, headers).end(all.subarray(end + 4))
  })
}

/** Arguments and environment of every process but this one. */
function processes(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) =>
      ['cmdline', 'environ'].map((file) => {
        try {
          return readFileSync(`/proc/${pid}/${file}`, 'utf8').replaceAll('\0', ' ')
        } catch {
          // It has ended meanwhile.
          return ''
        }
      }),
    )
    .filter((text) => text !== '')
}
