// git's smart HTTP protocol. It is passed on and not run: the pushed refs are read from the push's own commands.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { isRepositoryName } from '../repository-name.ts'
import type { Door, Exchange } from './door.ts'
import { type GitHubCredential, refuseUnauthorized, shownToken } from './github-credential.ts'
import { passToGitHub } from './github-relay.ts'
import type { GitHubUpstream } from './github-upstream.ts'
import { readUntilFlush } from './pkt-line.ts'
import { judgePush, refusalReport } from './push.ts'
import { Refusal } from './refusal.ts'
import { hasBody, headersOn } from './relay.ts'
import { rightTo } from './session.ts'

/** Longest command list of one push, in bytes: room for a few hundred branches. */
const COMMANDS_BYTES_MAX = 64 * 1024

const PATH = /^\/git\/([^/]+\/[^/]+?)(?:\.git)?\/(info\/refs|git-upload-pack|git-receive-pack)$/
const REQUEST_HEADERS = ['accept', 'content-type', 'content-length', 'git-protocol', 'user-agent']
const ANSWER_HEADERS = ['content-type', 'content-encoding', 'cache-control']
const PUSH = 'git-receive-pack'

export class GitDoor implements Door {
  readonly name = 'git'
  readonly #upstream: GitHubUpstream
  readonly #credential: GitHubCredential

  constructor(upstream: GitHubUpstream, credential: GitHubCredential) {
    this.#upstream = upstream
    this.#credential = credential
  }

  takes(path: string): boolean {
    return path.startsWith('/git/')
  }

  async answer(exchange: Exchange): Promise<void> {
    const { request, asked, session, noted } = exchange
    const { repository, service, isListing } = readPath(exchange)
    noted.repository = repository
    const access = rightTo(session.rights, repository)
    if (access === undefined) throw new Refusal(`This session has no right to ${repository}.`)
    const isPush = service === PUSH
    if (isPush && access !== 'write') throw new Refusal(`This session may only read ${repository}.`)
    const passing = onward(request, isPush)
    const pushed = isPush && !isListing ? await readPush(exchange) : undefined
    if (pushed === 'refused') return
    const token = await shownToken(this.#credential)
    const headers = token === undefined ? passing : { ...passing, authorization: basic(token) }
    const body = isListing || !hasBody(request) ? null : (pushed ?? request)
    const url = new URL(`${this.#upstream.serverUrl}/${repository}.git/${isListing ? 'info/refs' : service}`)
    url.search = asked.query
    await passToGitHub(
      exchange,
      this.#upstream,
      { url, headers, body },
      {
        answer: ANSWER_HEADERS,
        onAnswer: (answer) => refuseUnauthorized(this.#credential, token, answer),
      },
    )
  }

  /** Sends the refusal as text. A 401 asks for credentials, which git only sends when it is asked. */
  refuse(response: ServerResponse, { status, message }: Refusal): void {
    const asking = status === 401 ? { 'www-authenticate': 'Basic realm="agui-runner"' } : {}
    response.writeHead(status, { ...asking, 'content-type': 'text/plain' }).end(`${message}\n`)
  }
}

function readPath({ asked }: Exchange): { repository: string; service: string; isListing: boolean } {
  const { method, path, query } = asked
  const [, repository = '', what = ''] = PATH.exec(path) ?? []
  const isListing = what === 'info/refs'
  const service = isListing ? (/^service=(git-upload-pack|git-receive-pack)$/.exec(query)?.[1] ?? '') : what
  const isRight = method === (isListing ? 'GET' : 'POST') && (isListing || query === '')
  if (service === '' || !isRight || !isRepositoryName(repository)) {
    throw new Refusal(`${method} ${path} is nothing that git's smart protocol asks.`)
  }
  return { repository, service, isListing }
}

const basic = (token: string): string => `Basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`

function onward(request: IncomingMessage, isPush: boolean): Record<string, string> {
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && (isPush || encoding !== 'gzip'))
    throw new Refusal('The body cannot be judged: it is encoded.', 415)
  return {
    ...headersOn(REQUEST_HEADERS, request.headers),
    ...(encoding !== undefined && { 'content-encoding': encoding }),
  }
}

/** Returns the push's body when it is allowed. Otherwise it has sent git's own refusal. */
async function readPush({
  request,
  response,
  session,
  noted,
}: Exchange): Promise<Readable | Buffer | 'refused'> {
  const pieces = request.iterator({ destroyOnReturn: false })
  let bytes = Buffer.alloc(0)
  let read = readUntilFlush(bytes)
  while (read === undefined) {
    const { value, done } = await pieces.next()
    if (done === true) throw new Refusal('The push ends before its commands do.', 400)
    bytes = Buffer.concat([bytes, value])
    read = readUntilFlush(bytes)
    if (read === undefined && bytes.length > COMMANDS_BYTES_MAX)
      throw new Refusal(`The push's commands are longer than ${COMMANDS_BYTES_MAX} bytes.`, 413)
  }
  const push = judgePush(read.lines, session.rights.branchPrefix)
  noted.refs = push.refs
  if (push.refs.length === 0) {
    // git sends a lone flush to ask whether a large push may follow. Nothing else may stand behind it.
    if (bytes.length > read.length || !(await pieces.next()).done)
      throw new Refusal('The push is not readable.', 400)
    return bytes
  }
  if (push.refused.size > 0) {
    noted.refusal = [...push.refused].map(([ref, why]) => `${ref}: ${why}`).join('; ')
    if (!push.capabilities.has('report-status') && !push.capabilities.has('report-status-v2'))
      throw new Refusal(noted.refusal)
    // git reads no answer before it has sent its whole request.
    for await (const _ of pieces);
    response.writeHead(200, { 'content-type': `application/x-${PUSH}-result`, 'cache-control': 'no-cache' })
    response.end(refusalReport(push, push.refused))
    return 'refused'
  }
  return Readable.from(joined(bytes, pieces))
}

async function* joined(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield first
  yield* rest
}
