import { toMessage } from '../errors.ts'
import type { GitHubApi, GitHubApp, Permissions } from '../github-app/app-token.ts'
import type { Clock, HeldToken } from '../github-app/held-token.ts'
import { within } from '../within.ts'
import type { GitHubUpstream } from './github-upstream.ts'
import { Refusal } from './refusal.ts'
import type { Rights } from './session.ts'

/** Longest time for one token, in milliseconds, retries included. */
const MINT_MS_MAX = 60_000
/** Longest time for a revocation, in milliseconds. A stop waits for it. */
const REVOKE_MS_MAX = 5000
const NEVER = new AbortController().signal

/** The credential that one session's doors send to GitHub. */
export interface GitHubCredential extends Pick<HeldToken, 'name' | 'problem' | 'open' | 'reject' | 'close'> {
  /** Returns undefined for anonymous access. @throws {RunnerError} when a token is due and cannot be had. */
  token(): Promise<string | undefined>
}

/** Creates the credential of a fixed token, which someone else renews. */
export function fixedCredential(token: string | undefined): GitHubCredential {
  return {
    name: 'GITHUB_TOKEN',
    problem: undefined,
    open: () => Promise.resolve(),
    token: () => Promise.resolve(token),
    reject: () => undefined,
    close: () => Promise.resolve(),
  }
}

export interface AppCredentialOptions {
  app: GitHubApp
  github: GitHubUpstream
  rights: Pick<Rights, 'repositories'>
  clock: Clock
  onProblem(message: string): void
}

/** Creates an App's credential, limited to the session's repositories and rights. `open` works as in `mintToken`. */
export async function appCredential(options: AppCredentialOptions): Promise<GitHubCredential> {
  const { app, github, rights, clock, onProblem } = options
  const [{ endToken, mintToken }, { HeldToken }] = await Promise.all([
    import('../github-app/app-token.ts'),
    import('../github-app/held-token.ts'),
  ])
  const repositories = rights.repositories.map(({ name }) => name)
  const access = rights.repositories.some((one) => one.access === 'write') ? 'write' : 'read'
  const permissions: Permissions = { contents: access, pull_requests: access }
  return new HeldToken({
    clock,
    onProblem,
    mint: (signal) =>
      atGitHub(github, { signal, timeoutMs: MINT_MS_MAX }, (api) =>
        mintToken(app, { repositories, permissions }, api),
      ),
    revoke: (token) =>
      atGitHub(github, { signal: NEVER, timeoutMs: REVOKE_MS_MAX }, (api) => endToken(token, api)),
  })
}

/** @throws {RunnerError} when GitHub does not take the App's signature, or does not answer in time. */
export async function checkSignature(
  app: GitHubApp,
  github: GitHubUpstream,
  timeoutMs: number,
): Promise<void> {
  const { checkApp } = await import('../github-app/app-token.ts')
  await atGitHub(github, { signal: NEVER, timeoutMs }, (api) => checkApp(app, api))
}

function atGitHub<T>(
  github: GitHubUpstream,
  bounds: { signal: AbortSignal; timeoutMs: number },
  work: (api: GitHubApi) => Promise<T>,
): Promise<T> {
  const { apiUrl } = github
  return within(bounds, async (signal) =>
    work({ apiUrl, dispatcher: await github.connections(new URL(apiUrl)), signal }),
  )
}

/** Returns the token for a request. @throws {Refusal} with the reason when there is none. */
export async function shownToken(credential: GitHubCredential): Promise<string | undefined> {
  try {
    return await credential.token()
  } catch (error) {
    throw new Refusal(`The broker does not have ${credential.name}: ${toMessage(error)}`, 502)
  }
}

/** Turns GitHub's 401 into a refusal: the credential is the broker's, so the client could not answer it. */
export function refuseUnauthorized(
  credential: GitHubCredential,
  token: string | undefined,
  { statusCode }: { statusCode: number },
): undefined {
  if (statusCode !== 401) return
  if (token !== undefined) credential.reject(token)
  throw new Refusal(`GitHub wants another credential than the broker has (${credential.name}).`, 403)
}
