import { readFileSync, statSync } from 'node:fs'
import { parseJson } from '../json.ts'
import { SECRET_CHARS_MIN } from './encoded-forms.ts'

type Env = Readonly<Record<string, string | undefined>>

/** Words that mark a variable's value as a secret: in `GITHUB_TOKEN` and `pgpassword`, not in `MONKEY` or `TOKENIZER`. */
const SECRET_WORD =
  /^(?:[A-Z0-9]*(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL)S?|AUTHORIZATION|PASS|PAT|(?:API|APP|ACCESS|ACCOUNT|AUTH|CLIENT|ENCRYPTION|MASTER|PRIVATE|SECRET|SIGNING)?KEYS?)$/
/** Values that stand in for a credential which another process inserts. */
const PLACEHOLDER = /^(?:openshell:resolve:env:.*|inference-routing|notused)$/s
const PROXY_NAME = /_PROXY$/i
const URL_PASSWORD = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*?:([^@/?#]+)@/i
const CREDENTIAL_FILE_BYTES_MAX = 256 * 1024
/** Variables with one header per line, such as `ANTHROPIC_CUSTOM_HEADERS`. */
const HEADERS_NAME = /_HEADERS$/i
/** Variables with `name=value` pairs in percent encoding, such as `OTEL_EXPORTER_OTLP_HEADERS`. */
const OTEL_HEADERS_NAME = /^OTEL_.*_HEADERS$/
const SCHEME = /^(?:Bearer|Basic|Token) +/i
const ASSIGNMENT = /^\s*(?:export\s+)?["']?([\w.-]+)["']?\s*[=:]\s*["']?(.*?)["']?,?\s*$/

/**
 * Returns every secret that the runner was given: in variables with a telling name, inside addresses, and in the files
 * that such variables or `files` name. An unreadable file is skipped: its secret cannot leak from here.
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
  if (OTEL_HEADERS_NAME.test(name))
    return value.split(',').map((pair) => decoded(pair.slice(pair.indexOf('=') + 1).trim()))
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

/** Reads a file of JSON, of assignments, or of the secret alone. */
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

function secretsInJson(value: unknown, name = ''): string[] {
  if (typeof value === 'string') return isSecretName(name) ? [value] : []
  if (Array.isArray(value)) return value.flatMap((item) => secretsInJson(item, name))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, member]) => secretsInJson(member, key))
}

/** Returns undefined unless the path leads to a small file. The value may be no path at all. */
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
