import { setTimeout as delay } from 'node:timers/promises'
import { createAppAuth } from '@octokit/auth-app'
import { request } from '@octokit/request'
import { type Dispatcher, fetch, type RequestInit, type Response } from 'undici'
import { z } from 'zod'
import { RunnerError, toMessage } from '../errors.ts'
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
const Failed = z.object({ status: z.number().int() })

/**
 * Makes a token of the App's installation that is limited to these repositories and permissions.
 *
 * @throws {RunnerError} `config_invalid`, with advice, when the App is not installed there, lacks a permission, or its
 *   key is another App's. `github_failed` when GitHub cannot be reached.
 */
export async function mintToken(app: GitHubApp, wanted: TokenRequest, api: GitHubApi): Promise<AppToken> {
  const { owner, names } = oneOwner(wanted.repositories)
  const ask = askerOf(api)
  const auth = createAppAuth({ appId: app.appId, privateKey: app.privateKey, request: ask })
  const asApp = async (route: string): Promise<z.infer<typeof Installation>> => {
    const { token } = await auth({ type: 'app' })
    const { data } = await ask(route, { headers: { authorization: `Bearer ${token}` } })
    return Installation.parse(data)
  }
  const place =
    app.installationId === undefined
      ? `GET /repos/${owner}/${names[0]}/installation`
      : `GET /app/installations/${app.installationId}`
  const installation = await patient(api.signal, () => asApp(place)).catch((error: unknown) => {
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
    const { token, expiresAt } = await patient(api.signal, () =>
      auth({
        type: 'installation',
        installationId: installation.id,
        repositoryNames: names,
        permissions: wanted.permissions,
        refresh: true,
      }),
    )
    const endsAt = Date.parse(expiresAt)
    if (Number.isNaN(endsAt)) throw new Error(`it names no end of the token: ${expiresAt}`)
    return { token, expiresAt: endsAt }
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
  const ask = askerOf(api)
  try {
    const auth = createAppAuth({ appId: app.appId, privateKey: app.privateKey, request: ask })
    const { token } = await auth({ type: 'app' })
    await ask('GET /app', { headers: { authorization: `Bearer ${token}` } })
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
  const { signal } = api
  const ask = askerOf(api)
  try {
    await patient(signal, () =>
      ask('DELETE /installation/token', { headers: { authorization: `Bearer ${token}` } }),
    )
  } catch (error) {
    throw toRefusal(error, {
      401: 'GitHub knows no such token: it has expired, was revoked, or is another server’s',
      403: 'This is no App’s token; only those can be revoked so',
    })
  }
}

function askerOf({ apiUrl, dispatcher, signal }: GitHubApi): typeof request {
  const send = (url: string, options?: RequestInit): Promise<Response> =>
    fetch(url, { ...options, dispatcher })
  return request.defaults({ baseUrl: apiUrl, request: { fetch: send, signal } })
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
  return { owner: first.owner, names: split.map(({ name }) => name) }
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
  const status = Failed.safeParse(error).data?.status
  const said = status === undefined ? undefined : words[status]
  const message = said ?? `GitHub did not answer as it should: ${toMessage(error)}`
  return new RunnerError(said === undefined ? 'github_failed' : 'config_invalid', `${message}.`, {
    cause: error,
  })
}

function invalid(message: string): RunnerError {
  return new RunnerError('config_invalid', `${message}.`)
}
