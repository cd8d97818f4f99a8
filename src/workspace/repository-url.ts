import { RunnerError } from '../errors.ts'

export type GitProtocol = 'https' | 'http' | 'file'

export interface RepositoryUrl {
  /** The URL without credentials. */
  url: string
  protocol: GitProtocol
  /** `https://host:port`, the only place to which a credential may be sent. */
  origin: string
  host: string
  /** A folder name: the last part of the path without `.git`. */
  name: string
  /** The decoded credentials of the URL, if it had any. */
  userInfo: { username: string; password: string } | undefined
}

export interface Credential {
  /** The only origin to which the credential is sent. */
  origin: string
  username: string
  password: string
}

/** The host names of GitHub and GitLab. Their tokens are sent to no other host. */
export interface TokenHosts {
  github: readonly string[]
  gitlab: readonly string[]
}

export interface GivenTokens {
  github: string | undefined
  gitlab: string | undefined
}

const NAME_CHARS_MAX = 100
const URL_CHARS_MAX = 2048
const BRANCH_CHARS_MAX = 250
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/

/**
 * @throws {RunnerError} `invalid_input` unless the text is a URL of one of the protocols. The message does not repeat
 * the text, which may hold a password.
 */
export function parseRepositoryUrl(text: string, protocols: readonly GitProtocol[]): RepositoryUrl {
  const forms = protocols.map((protocol) => `${protocol}://`).join(' or ')
  const problem = new RunnerError('invalid_input', `The repository's URL must be a plain ${forms} URL.`)
  if (text.length > URL_CHARS_MAX || !URL.canParse(text) || hasControl(text)) throw problem
  const parsed = new URL(text)
  const protocol = protocols.find((known) => parsed.protocol === `${known}:`)
  if (protocol === undefined || parsed.search !== '' || parsed.hash !== '') throw problem
  const userInfo = parsed.username === '' && parsed.password === '' ? undefined : readUserInfo(parsed)
  parsed.username = ''
  parsed.password = ''
  const { href: url, host, hostname } = parsed
  const name = folderNameOf(url)
  return { url, protocol, origin: `${protocol}://${host}`, host: hostname, name, userInfo }
}

/** Returns a folder name for the repository that a URL leads to. */
export function folderNameOf(url: string): string {
  const path = url.replace(/\/+$/, '')
  return path
    .slice(path.lastIndexOf('/') + 1)
    .replace(/\.git$/, '')
    .replace(/[^\w.-]/g, '-')
}

/**
 * Returns the credential for the server, if any: that of the URL, else the token for its host. Over plain HTTP it is
 * only sent to this machine itself.
 */
export function credentialFor(
  { origin, protocol, host, userInfo }: RepositoryUrl,
  tokens: GivenTokens,
  hosts: TokenHosts,
): Credential | undefined {
  if (protocol !== 'https' && !(protocol === 'http' && LOOPBACK.test(host))) return undefined
  if (userInfo !== undefined) return { origin, ...userInfo }
  if (tokens.github !== undefined && hosts.github.includes(host)) {
    return { origin, username: 'x-access-token', password: tokens.github }
  }
  if (tokens.gitlab !== undefined && hosts.gitlab.includes(host)) {
    return { origin, username: 'oauth2', password: tokens.gitlab }
  }
  return undefined
}

/**
 * Returns the name when it is valid as the folder of a repository.
 *
 * @throws {RunnerError} `path_outside_workspace` for a path, `invalid_input` for any other invalid name.
 */
export function parseRepositoryName(name: string): string {
  if (/[/\\\0]/.test(name) || name === '.' || name === '..') {
    throw new RunnerError(
      'path_outside_workspace',
      "A repository's name is the name of one folder, not a path.",
    )
  }
  if (!/^[\w.-]+$/.test(name) || name.startsWith('-') || name === '.git' || name.length > NAME_CHARS_MAX) {
    throw new RunnerError(
      'invalid_input',
      `A repository's name has letters, digits, ".", "_" and "-", at most ${NAME_CHARS_MAX}, and no "-" in front.`,
    )
  }
  return name
}

/** Whether git accepts the name for a branch: the rules of `git check-ref-format --branch` without its shorthands. */
export function isBranchName(name: string): boolean {
  if (name.length > BRANCH_CHARS_MAX || hasControl(name)) return false
  if (name.startsWith('-') || name === 'HEAD' || name === '@' || /[ ~^:?*[\\]/.test(name)) return false
  if (name.includes('..') || name.includes('@{') || name.endsWith('.')) return false
  return name
    .split('/')
    .every((part) => part !== '' && !part.startsWith('.') && !part.toLowerCase().endsWith('.lock'))
}

/**
 * Whether two URLs lead to the same repository, as far as their text shows. User, protocol and a `.git` at the end make
 * no difference. The older form of ssh (`git@host:path`) is accepted, because git writes such origins.
 */
export function isSameRepository(one: string, other: string): boolean {
  return identity(one) === identity(other)
}

function identity(text: string): string {
  const url = URL.canParse(text) ? text : text.replace(/^(?:[^/@]+@)?([^/:]+):(?!\/\/)/, 'ssh://$1/')
  if (!URL.canParse(url)) return text
  const { host, pathname } = new URL(url)
  const path = pathname.replace(/\/+$/, '').replace(/\.git$/, '')
  return `${host.toLowerCase()}/${path.replace(/^\/+/, '')}`
}

/** Returns a URL without its user name and password. A text that is no URL is returned unchanged. */
export function withoutCredentials(url: string): string {
  if (!URL.canParse(url)) return url
  const parsed = new URL(url)
  if (parsed.username === '' && parsed.password === '') return url
  parsed.username = ''
  parsed.password = ''
  return parsed.href
}

/** Returns a text without the credentials of the URLs in it. */
export function withoutUserInfo(url: string): string {
  return url.replace(/(\w:\/\/)[^/@\s]*@/g, '$1')
}

function readUserInfo({ username, password }: URL): { username: string; password: string } {
  // A bare token is in the place of the user name. The server expects it as the password.
  const [name, secret] = password === '' ? ['x-access-token', username] : [username, password]
  const decoded = { username: decode(name), password: decode(secret) }
  if (hasControl(decoded.username) || hasControl(decoded.password)) {
    throw new RunnerError('invalid_input', 'The credentials in the URL hold control characters.')
  }
  return decoded
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // A lone percent sign is taken literally.
    return text
  }
}

function hasControl(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return /[\x00-\x1f\x7f]/.test(text)
}
