// GitHub's REST API for one session. It may read its repositories, and open and edit pull requests of its own branches.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { z } from 'zod'
import { parseStrictJson, UnreadableError } from '../policy/request/strict-json.ts'
import { isRepositoryName } from '../repository-name.ts'
import type { Door, Exchange } from './door.ts'
import { type GitHubCredential, refuseUnauthorized, shownToken } from './github-credential.ts'
import { passToGitHub } from './github-relay.ts'
import type { GitHubUpstream } from './github-upstream.ts'
import { Refusal } from './refusal.ts'
import { headersOn } from './relay.ts'
import { rightTo, type Session } from './session.ts'
import { readWhole } from './whole-body.ts'

/** Longest request body, in bytes; also of the answer to "create pull request", which is read. */
const BODY_BYTES_MAX = 1024 * 1024

const PATH = /^\/github\/repos\/([^/]+\/[^/]+)(?:\/([^?]*))?$/
/** A path of plain segments. An encoded slash or dot could be read as another path, and so could `..;`. */
const REST =
  /^(?:[\w.~:@+,!$&'()*;=-]|%(?!2[eEfF]|5[cC]|00)[0-9A-Fa-f]{2})+(?:\/(?:[\w.~:@+,!$&'()*;=-]|%(?!2[eEfF]|5[cC]|00)[0-9A-Fa-f]{2})+)*$/
const QUERY = /^[\w.~:@+,!$'()*;=&%/-]*$/
/** The readable resources. The others hold keys, alerts that quote secrets, and people's rights. */
const READABLE =
  /^(?:actions\/(?:jobs|runs|workflows)|branches|check-runs|check-suites|commits|compare|contents|contributors|git|issues|labels|languages|license|milestones|pulls|readme|releases|statuses|tags|topics)(?:\/|$)/
const REQUEST_HEADERS = ['accept', 'content-type', 'if-none-match', 'user-agent', 'x-github-api-version']
const ANSWER_HEADERS = [
  ...['content-type', 'content-encoding', 'etag', 'last-modified', 'retry-after'],
  ...['x-github-media-type', 'x-github-request-id', 'x-ratelimit-*'],
]

const text = z.string().max(BODY_BYTES_MAX)
const Opening = z.strictObject({
  title: text,
  head: text,
  base: text,
  body: text.optional(),
  draft: z.boolean().optional(),
  maintainer_can_modify: z.boolean().optional(),
})
const Editing = z.strictObject({ title: text, body: text }).partial()
const Comment = z.strictObject({ body: text })
const Opened = z.object({ number: z.number().int().positive(), html_url: z.string() })

export class GitHubDoor implements Door {
  readonly name = 'github'
  readonly #upstream: GitHubUpstream
  readonly #credential: GitHubCredential

  constructor(upstream: GitHubUpstream, credential: GitHubCredential) {
    this.#upstream = upstream
    this.#credential = credential
  }

  takes(path: string): boolean {
    return path.startsWith('/github/')
  }

  async answer(exchange: Exchange): Promise<void> {
    const { request, asked, session, noted } = exchange
    const [, repository = '', rest = ''] = PATH.exec(asked.path) ?? []
    if (!isRepositoryName(repository) || !QUERY.test(asked.query)) throw notListed(exchange)
    noted.repository = repository
    const access = rightTo(session.rights, repository)
    if (access === undefined) throw new Refusal(`This session has no right to ${repository}.`)
    const isOpening = asked.method === 'POST' && rest === 'pulls'
    const body = asked.method === 'GET' ? null : await this.#readWrite(exchange, repository, rest)
    if (body === null && rest !== '' && (!isPlain(rest) || !READABLE.test(rest))) throw notListed(exchange)
    const url = new URL(`${this.#upstream.apiUrl}/repos/${repository}${rest === '' ? '' : `/${rest}`}`)
    url.search = asked.query
    const token = await shownToken(this.#credential)
    await passToGitHub(
      exchange,
      this.#upstream,
      { url, headers: onward(request, body, token), body },
      {
        answer: ANSWER_HEADERS,
        onAnswer: (answer) => {
          refuseUnauthorized(this.#credential, token, answer)
          return isOpening && answer.statusCode === 201 ? this.#remember(session, repository) : undefined
        },
      },
    )
  }

  /** Sends the refusal in GitHub's own shape. */
  refuse(response: ServerResponse, { status, message }: Refusal): void {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ message }))
  }

  /** Reads the body of an allowed write. @throws {Refusal} for any other. */
  async #readWrite(exchange: Exchange, repository: string, rest: string): Promise<Buffer> {
    const { request, asked, session } = exchange
    if (asked.query !== '') throw notListed(exchange)
    const [, pull, of] = /^(pulls|issues)\/(\d+)(?:\/comments)?$/.exec(rest) ?? []
    const isComment = asked.method === 'POST' && pull === 'issues' && rest.endsWith('/comments')
    const isEdit = asked.method === 'PATCH' && pull === 'pulls' && !rest.endsWith('/comments')
    const isOpening = asked.method === 'POST' && rest === 'pulls'
    if (!isComment && !isEdit && !isOpening) throw notListed(exchange)
    if (rightTo(session.rights, repository) !== 'write')
      throw new Refusal(`This session may only read ${repository}.`)
    if (!isOpening && !session.pulls.has(pullName(repository, Number(of))))
      throw new Refusal(`Pull request ${of} of ${repository} is none that this session has opened.`)
    if (request.headers['content-encoding'] !== undefined)
      throw new Refusal('The body cannot be judged: it is encoded.', 415)
    const body = await readWhole(request, BODY_BYTES_MAX)
    const schema = isOpening ? Opening : isEdit ? Editing : Comment
    const read = schema.safeParse(strictJson(body))
    if (!read.success) {
      const problems = read.error.issues.map(({ path, message }) => `${path.join('.')} ${message}`.trim())
      throw new Refusal(`The body is none that may be sent here: ${problems.join('; ')}.`, 422)
    }
    if ('head' in read.data) judgeHead(String(read.data.head), repository, session.rights.branchPrefix)
    return body
  }

  /** Remembers a new pull request: its number for later edits, its address for the launcher. */
  #remember(session: Session, repository: string): { feed(piece: Buffer): void; end(): void } {
    const pieces: Buffer[] = []
    let length = 0
    return {
      feed(piece) {
        length += piece.length
        if (length <= BODY_BYTES_MAX) pieces.push(piece)
      },
      end() {
        const { data } = Opened.safeParse(strictJson(Buffer.concat(pieces)))
        if (data !== undefined) session.pulls.set(pullName(repository, data.number), data.html_url)
      },
    }
  }
}

function onward(
  request: IncomingMessage,
  body: Buffer | null,
  token: string | undefined,
): Record<string, string> {
  return {
    // GitHub refuses a request without a User-Agent.
    'user-agent': 'agui-runner',
    ...headersOn(REQUEST_HEADERS, request.headers),
    'accept-encoding': 'identity',
    ...(body !== null && { 'content-length': String(body.length) }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  }
}

const pullName = (repository: string, number: number): string => `${repository.toLowerCase()}#${number}`

function notListed({ asked: { method, path } }: Exchange): Refusal {
  return new Refusal(`${method} ${path} is not on this door's list.`)
}

function isPlain(rest: string): boolean {
  return REST.test(rest) && rest.split('/').every((segment) => !/^\.{1,2}(?:;|$)/.test(segment))
}

/** Accepts a branch that the session may push, of the repository itself and not of a fork. */
function judgeHead(head: string, repository: string, prefix: string): void {
  const [owner = ''] = repository.split('/')
  const branch = head.toLowerCase().startsWith(`${owner.toLowerCase()}:`)
    ? head.slice(owner.length + 1)
    : head
  if (!branch.startsWith(prefix) || branch.length === prefix.length || /[:\s]|\.\./.test(branch))
    throw new Refusal(`A pull request may be opened from branches that begin with ${prefix} only.`, 422)
}

/** Parses JSON that every server reads alike: no doubled members. */
function strictJson(bytes: Buffer): unknown {
  try {
    return parseStrictJson(bytes)
  } catch (error) {
    if (error instanceof UnreadableError) return undefined
    throw error
  }
}
