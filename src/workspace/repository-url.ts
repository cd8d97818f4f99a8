import { RunnerError } from '../errors.ts'

export type GitProtocol = 'https' | 'http' | 'file'

export interface RepositoryUrl {
  /** Without credentials. */
  url: string
  protocol: GitProtocol
  /** `https://host:port`: where a credential may go. */
  origin: string
  host: string
  /** The last part of the path without `.git`. */
  name: string
  /** What stood in front of the host. */
  userInfo: { username: string; password: string } | undefined
}

export interface Credential {
  /** Given to this origin only. */
  origin: string
  username: string
  password: string
}

/** Which hosts are GitHub's and GitLab's: nobody else is given their tokens. */
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
 * @throws {RunnerError} `invalid_input` unless it is a URL of one of the protocols. The message does not repeat it: it
 * may hold a password.
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

/** The name of a folder for what a URL leads to. */
export function folderNameOf(url: string): string {
  const path = url.replace(/\/+$/, '')
  return path
    .slice(path.lastIndexOf('/') + 1)
    .replace(/\.git$/, '')
    .replace(/[^\w.-]/g, '-')
}

/**
 * The credential that the server gets, if any: what stood in the URL, or the token of its host. In clear text only to
 * this machine itself.
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
 * The name of a folder for a repository.
 *
 * @throws {RunnerError} `path_outside_workspace` for a path, `invalid_input` for what else is no good name.
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

/** The rules of `git check-ref-format --branch`, and no more special words. */
export function isBranchName(name: string): boolean {
  if (name.length > BRANCH_CHARS_MAX || hasControl(name)) return false
  if (name.startsWith('-') || name === 'HEAD' || name === '@' || /[ ~^:?*[\\]/.test(name)) return false
  if (name.includes('..') || name.includes('@{') || name.endsWith('.')) return false
  return name
    .split('/')
    .every((part) => part !== '' && !part.startsWith('.') && !part.toLowerCase().endsWith('.lock'))
}

/**
 * Whether two URLs lead to one repository, as far as their text shows: neither who asks, nor by which protocol, nor a
 * `.git` at the end makes another. The older form of ssh (`git@host:path`) is understood, for git writes such origins.
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

/** A URL as it was given, but for what stands in front of its host. */
export function withoutCredentials(url: string): string {
  if (!URL.canParse(url)) return url
  const parsed = new URL(url)
  if (parsed.username === '' && parsed.password === '') return url
  parsed.username = ''
  parsed.password = ''
  return parsed.href
}

/** A text without what stands in front of the hosts in it. */
export function withoutUserInfo(url: string): string {
  return url.replace(/(\w:\/\/)[^/@\s]*@/g, '$1')
}

function readUserInfo({ username, password }: URL): { username: string; password: string } {
  // A bare token stands where the name would; the server wants it as the password.
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
    // A lone percent sign: it was meant as it stands.
    return text
  }
}

function hasControl(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return /[\x00-\x1f\x7f]/.test(text)
}
