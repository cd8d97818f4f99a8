import { setTimeout as delay } from 'node:timers/promises'
import { createAppAuth } from '@octokit/auth-app'
import { request } from '@octokit/request'
import { type Dispatcher, fetch, type RequestInit, type Response } from 'undici'
import { z } from 'zod'
import { isCode, RunnerError, toMessage } from '../errors.ts'
import { isRepositoryName } from '../repository-name.ts'

/** Retries after a failure of GitHub itself (500 and above, or no answer), and the first pause, which then doubles. */
const RETRIES_MAX = 3
const RETRY_MS = 500

/** GitHub's access levels by permission: `{ contents: 'write' }`. */
export type Permissions = Readonly<Record<string, 'read' | 'write' | 'admin'>>

export interface GitHubApp {
  /** The App's client id or its number. */
  appId: string
  /** PEM. */
  privateKey: string
  /** Undefined for the installation of the repositories' owner. */
  installationId?: number | undefined
}

export interface GitHubApi {
  /** `https://api.github.com`, without a slash at the end. */
  apiUrl: string
  /** The dispatcher that leads to GitHub, through a proxy where one is set. */
  dispatcher: Dispatcher
  signal: AbortSignal
}

export interface TokenRequest {
  /** At least one `OWNER/NAME`, all of the same owner. */
  repositories: readonly string[]
  permissions: Permissions
}

export interface AppToken {
  token: string
  /** The end of the token in milliseconds since 1970. GitHub grants an hour. */
  expiresAt: number
}

const Installation = z.object({
  id: z.number().int().positive(),
  permissions: z.record(z.string(), z.string()),
})
const Minted = z.object({
  // A header, and stdout's line, can hold no other.
  token: z.string().regex(/^[!-~]+$/, 'it is no token'),
  expires_at: z
    .string()
    .transform((text) => Date.parse(text))
    .refine((endsAt) => !Number.isNaN(endsAt), 'it is no time'),
})
const Failed = z.object({
  status: z.number().int(),
  response: z.object({ headers: z.record(z.string(), z.unknown()) }).optional(),
})

/**
 * Makes a token of the App's installation that is limited to these repositories and permissions.
 *
 * @throws {RunnerError} `config_invalid`, with advice, when the App is not installed there, lacks a permission, or its
 *   key is another App's. `github_failed` when GitHub cannot be reached.
 */
export async function mintToken(app: GitHubApp, wanted: TokenRequest, api: GitHubApi): Promise<AppToken> {
  const { owner, names } = oneOwner(wanted.repositories)
  const asApp = async <T>(answer: z.ZodType<T>, route: string, body?: object): Promise<T> =>
    answer.parse(await patient(api.signal, () => askAsApp(app, api, route, body)))
  const place =
    app.installationId === undefined
      ? `GET /repos/${owner}/${names[0]}/installation`
      : `GET /app/installations/${app.installationId}`
  const installation = await asApp(Installation, place).catch((error: unknown) => {
    throw notFound(error, `The App ${app.appId} is not installed on ${wanted.repositories[0]}`)
  })
  const lacking = Object.entries(wanted.permissions).filter(
    ([name, level]) => !isGranted(installation.permissions[name], level),
  )
  if (lacking.length > 0) {
    const list = lacking.map(([name, level]) => `${name}:${level}`).join(', ')
    throw invalid(
      `The App ${app.appId} was not granted ${list} for ${owner}; add it in the App’s settings and have its owner accept it`,
    )
  }
  try {
    const { token, expires_at: expiresAt } = await asApp(
      Minted,
      `POST /app/installations/${installation.id}/access_tokens`,
      { repositories: names, permissions: wanted.permissions },
    )
    return { token, expiresAt }
  } catch (error) {
    throw notFound(
      error,
      `The installation of App ${app.appId} has no access to ${wanted.repositories.join(', ')}`,
    )
  }
}

/**
 * Checks that GitHub accepts the App's signature.
 *
 * @throws {RunnerError} `config_invalid` when it does not; `github_failed` when GitHub does not answer.
 */
export async function checkApp(app: GitHubApp, api: GitHubApi): Promise<void> {
  try {
    await askAsApp(app, api, 'GET /app')
  } catch (error) {
    throw toRefusal(error, SIGNATURE)
  }
}

/**
 * Revokes the token.
 *
 * @throws {RunnerError} `config_invalid` when GitHub knows no such token; `github_failed` when it does not answer.
 */
export async function revokeToken(token: string, api: GitHubApi): Promise<void> {
  try {
    await patient(api.signal, () => ask(api, 'DELETE /installation/token', token))
  } catch (error) {
    throw toRefusal(error, {
      401: 'GitHub knows no such token: it has expired, was revoked, or is another server’s',
      403: 'This is no App’s token; only those can be revoked so',
    })
  }
}

/** Revokes a token. One that GitHub does not know has ended. @throws {RunnerError} `github_failed`. */
export async function endToken(token: string, api: GitHubApi): Promise<void> {
  await revokeToken(token, api).catch((error: unknown) => {
    if (!isCode(error, 'config_invalid')) throw error
  })
}

/** A token of an installation is asked for here too: auth-app gives one answer to all that ask for the same at once. */
async function askAsApp(
  { appId, privateKey }: GitHubApp,
  api: GitHubApi,
  route: string,
  body?: object,
): Promise<unknown> {
  const { token } = await createAppAuth({ appId, privateKey })({ type: 'app' })
  const answer = await ask(api, route, token, body)
  // It was cut off, or a proxy has answered.
  if (typeof answer === 'string') throw new Error('its answer is no JSON')
  return answer
}

/** @returns the answer's body. */
async function ask(
  { apiUrl, dispatcher, signal }: GitHubApi,
  route: string,
  token: string,
  body?: object,
): Promise<unknown> {
  const send = (url: string, options?: RequestInit): Promise<Response> =>
    fetch(url, { ...options, dispatcher })
  const { data } = await request(route, {
    ...{ ...body, baseUrl: apiUrl, request: { fetch: send, signal } },
    headers: { authorization: `Bearer ${token}` },
  })
  return data
}

function oneOwner(repositories: readonly string[]): { owner: string; names: string[] } {
  const split = repositories.map((repository) => {
    const [owner = '', name = ''] = repository.split('/')
    if (!isRepositoryName(repository))
      throw invalid(`${JSON.stringify(repository)} is no repository; write OWNER/NAME`)
    return { owner, name }
  })
  const [first] = split
  if (first === undefined) throw invalid('Name at least one repository')
  const other = split.find(({ owner }) => owner.toLowerCase() !== first.owner.toLowerCase())
  if (other !== undefined)
    throw invalid(`A token is for one owner’s repositories, not for ${first.owner}’s and ${other.owner}’s`)
  const names = split.map(({ name }) => name)
  if (new Set(names.map((name) => name.toLowerCase())).size < names.length)
    throw invalid('A repository is named twice')
  return { owner: first.owner, names }
}

const LEVELS = ['read', 'write', 'admin']

function isGranted(has: string | undefined, wanted: string): boolean {
  return LEVELS.indexOf(has ?? '') >= LEVELS.indexOf(wanted)
}

/** Repeats `work` after a failure of GitHub itself, never after a refusal. */
async function patient<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await work()
    } catch (error) {
      const status = Failed.safeParse(error).data?.status ?? 500
      if (status < 500 || tries === RETRIES_MAX || signal.aborted) throw error
      await delay(RETRY_MS * 2 ** tries, undefined, { signal })
    }
  }
}

const SIGNATURE = {
  401: 'GitHub refuses the App’s signature: the key is another App’s, or was deleted, or this machine’s clock is wrong',
}

function notFound(error: unknown, words: string): RunnerError {
  const said = `${words} (GitHub: ${toMessage(error)})`
  return toRefusal(error, { ...SIGNATURE, 403: said, 404: words, 422: said })
}

/** Converts GitHub's refusal to an error; `words` holds the advice by status. */
function toRefusal(error: unknown, words: Readonly<Record<number, string>>): RunnerError {
  const failed = Failed.safeParse(error).data
  const said = failed === undefined || isOverLimit(failed) ? undefined : words[failed.status]
  const message = said ?? `GitHub did not answer as it should: ${toMessage(error)}`
  return new RunnerError(said === undefined ? 'github_failed' : 'config_invalid', `${message}.`, {
    cause: error,
  })
}

/** Whether GitHub has had too many requests, which it says by a 403 too (docs.github.com, rate limits for the REST API). */
function isOverLimit({ status, response }: z.infer<typeof Failed>): boolean {
  const headers = response?.headers ?? {}
  return status === 403 && (headers['x-ratelimit-remaining'] === '0' || headers['retry-after'] !== undefined)
}

function invalid(message: string): RunnerError {
  return new RunnerError('config_invalid', `${message}.`)
}
