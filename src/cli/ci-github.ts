import { request } from 'undici'
import { z } from 'zod'
import { type GitHubUpstream, openGitHub } from '../broker/github-upstream.ts'
import type { Env } from '../config.ts'
import { RunnerError, toMessage } from '../errors.ts'
import { endToken, type GitHubApp, mintToken, type Permissions } from '../github-app/app-token.ts'

const ASK_MS = 20_000

export interface GitHubQuestions {
  repository: string
  access: 'read' | 'write'
  /** The token that the question is asked with: the job's own, or the given one. */
  token: string
}

/**
 * Returns a user's permission for the repository: `admin`, `write`, `read` or `none`.
 *
 * @throws {RunnerError} `config_invalid` for a token that GitHub refuses; `github_failed`.
 */
export async function rightOf(
  login: string,
  { repository, token }: GitHubQuestions,
  env: Env,
): Promise<string> {
  return await withGitHub(env, async (github) => {
    const url = `${github.apiUrl}/repos/${repository}/collaborators/${encodeURIComponent(login)}/permission`
    const { status, text } = await ask(github, url, `Bearer ${token}`)
    if (status === 404) return 'none'
    if (status === 401) throw refused(EXPIRED)
    if (status !== 200) throw new RunnerError('github_failed', `GitHub answers ${status} to ${url}.`)
    return z.object({ permission: z.string() }).parse(JSON.parse(text)).permission
  })
}

const EXPIRED = 'GitHub refuses github-token: it has expired, was revoked, or is another server’s'

/**
 * Checks the token with git's own first request.
 *
 * @throws {RunnerError} `config_invalid` for a token without the wanted access; `github_failed`.
 */
export async function checkJobToken(questions: GitHubQuestions, env: Env): Promise<void> {
  const { repository, access, token } = questions
  const isWrite = access === 'write'
  await withGitHub(env, async (github) => {
    const service = isWrite ? 'git-receive-pack' : 'git-upload-pack'
    const url = `${github.serverUrl}/${repository}.git/info/refs?service=${service}`
    const basic = Buffer.from(`x-access-token:${token}`).toString('base64')
    const { status } = await ask(github, url, `Basic ${basic}`)
    if (status === 200) return
    if (status === 401) throw refused(EXPIRED)
    if (status !== 403 && status !== 404)
      throw new RunnerError('github_failed', `GitHub answers ${status} to ${url}.`)
    throw refused(
      isWrite
        ? `github-token may not push to ${repository}: give the job "permissions: contents: write", or set access: read`
        : `github-token may not read ${repository}: give the job "permissions: contents: read"`,
    )
  })
}

/**
 * Checks the App: makes a token of it and revokes the token.
 *
 * @throws {RunnerError} `config_invalid` when its key, installation or permissions are wrong; `github_failed`.
 */
export async function checkJobApp(
  app: GitHubApp,
  { repository, access }: Pick<GitHubQuestions, 'repository' | 'access'>,
  env: Env,
): Promise<void> {
  const permissions: Permissions = { contents: access, pull_requests: access }
  await withGitHub(env, async (github) => {
    const { apiUrl } = github
    const api = {
      apiUrl,
      dispatcher: await github.connections(new URL(apiUrl)),
      signal: AbortSignal.timeout(ASK_MS),
    }
    const { token } = await mintToken(app, { repositories: [repository], permissions }, api)
    await endToken(token, api)
  })
}

async function ask(
  github: GitHubUpstream,
  address: string,
  authorization: string,
): Promise<{ status: number; text: string }> {
  const url = new URL(address)
  const dispatcher = await github.connections(url)
  const headers = { authorization, 'user-agent': 'agui-runner' }
  try {
    const answer = await request(url, { dispatcher, headers, signal: AbortSignal.timeout(ASK_MS) })
    return { status: answer.statusCode, text: await answer.body.text() }
  } catch (error) {
    throw new RunnerError('github_failed', `${url.host} cannot be reached: ${toMessage(error)}.`, {
      cause: error,
    })
  }
}

async function withGitHub<T>(env: Env, work: (github: GitHubUpstream) => Promise<T>): Promise<T> {
  const github = openGitHub(env)
  try {
    return await work(github)
  } finally {
    await github.close()
  }
}

function refused(message: string): RunnerError {
  return new RunnerError('config_invalid', `${message}.`)
}
