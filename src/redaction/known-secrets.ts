import { readFileSync, statSync } from 'node:fs'
import { SECRET_CHARS_MIN } from './encoded-forms.ts'

type Env = Readonly<Record<string, string | undefined>>

/** Names that say what their value is, word by word: `GITHUB_TOKEN`, `pgpassword`, not `MONKEY` or `TOKENIZER`. */
const SECRET_WORD =
  /^(?:[A-Z0-9]*(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL)S?|AUTHORIZATION|PASS|PAT|(?:API|APP|ACCESS|ACCOUNT|AUTH|CLIENT|ENCRYPTION|MASTER|PRIVATE|SECRET|SIGNING)?KEYS?)$/
/** Stand for a credential that somebody else puts in. */
const PLACEHOLDER = /^(?:openshell:resolve:env:.*|inference-routing|notused)$/s
const PROXY_NAME = /_PROXY$/i
const URL_PASSWORD = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*?:([^@/?#]+)@/i
const CREDENTIAL_FILE_BYTES_MAX = 256 * 1024
/** `ANTHROPIC_CUSTOM_HEADERS`: one header a line. */
const HEADERS_NAME = /_HEADERS$/i
const SCHEME = /^(?:Bearer|Basic|Token) +/i
const ASSIGNMENT = /^\s*(?:export\s+)?["']?([\w.-]+)["']?\s*[=:]\s*["']?(.*?)["']?,?\s*$/

/**
 * Every secret that the runner was given: in variables whose name says so, inside addresses, and in the files that
 * such variables name, or that are named as `files`. A file that cannot be read holds no secret that could leak from here.
 */
export function readKnownSecrets(env: Env, files: readonly string[] = []): string[] {
  const inEnvironment = Object.entries(env).flatMap(([name, value]) =>
    value === undefined ? [] : secretsOf(name, value.trim()),
  )
  const inFiles = files.flatMap((path) => secretsInJson(parseJson(readSmallFile(path) ?? '')))
  const secrets = [...inEnvironment, ...inFiles].map((secret) => secret.replace(SCHEME, '').trim())
  return [...new Set(secrets)].filter(
    (secret) => secret.length >= SECRET_CHARS_MIN && !PLACEHOLDER.test(secret),
  )
}

function secretsOf(name: string, value: string): string[] {
  const password = URL_PASSWORD.exec(value)?.[1]
  if (password !== undefined) return [password, decoded(password), ...(isSecretName(name) ? [value] : [])]
  if (HEADERS_NAME.test(name)) return assignedIn(value)
  if (PROXY_NAME.test(name) || !isSecretName(name)) return []
  if (!value.startsWith('/')) return [value]
  const text = readSmallFile(value)
  return text === undefined ? [value] : secretsInFile(text)
}

export function isSecretName(name: string): boolean {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toUpperCase()
    .split(/[^A-Z0-9]+/)
    .some((word) => SECRET_WORD.test(word))
}

/** JSON, assignments, or the secret and nothing else. */
function secretsInFile(text: string): string[] {
  const json = parseJson(text)
  if (typeof json === 'object' && json !== null) return secretsInJson(json)
  const assigned = assignedIn(text)
  return assigned.length > 0 ? assigned : [text]
}

function assignedIn(text: string): string[] {
  return text
    .split('\n')
    .map((line) => ASSIGNMENT.exec(line))
    .flatMap((match) => (match?.[1] !== undefined && isSecretName(match[1]) ? [match[2] ?? ''] : []))
}

/** Undefined for what is no secret. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function secretsInJson(value: unknown, name = ''): string[] {
  if (typeof value === 'string') return isSecretName(name) ? [value] : []
  if (Array.isArray(value)) return value.flatMap((item) => secretsInJson(item, name))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, member]) => secretsInJson(member, key))
}

/** Undefined for what is no small file: then the value is no path, or nothing that is read. */
function readSmallFile(path: string): string | undefined {
  try {
    const { size } = statSync(path)
    return size <= CREDENTIAL_FILE_BYTES_MAX ? readFileSync(path, 'utf8') : ''
  } catch {
    return undefined
  }
}

function decoded(password: string): string {
  try {
    return decodeURIComponent(password)
  } catch {
    return password
  }
}
