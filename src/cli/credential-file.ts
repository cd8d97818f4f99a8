import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { Option } from 'commander'
import type { Env } from '../config.ts'
import { RunnerError, toMessage } from '../errors.ts'

/** Upper bound of the file, in bytes: more than any credentials need. */
const FILE_BYTES_MAX = 64 * 1024

const NAMES =
  /^(?:ANTHROPIC_API_KEY|ANTHROPIC_AUTH_TOKEN|ANTHROPIC_CUSTOM_HEADERS|CLAUDE_CODE_OAUTH_TOKEN|AWS_(?:ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|BEARER_TOKEN_BEDROCK)|GITHUB_TOKEN|GITHUB_APP_PRIVATE_KEY|GITLAB_TOKEN|AGUI_TOKEN)$/

export function credentialFileOption(): Option {
  return new Option(
    '--credential-file <file>',
    'read credentials as NAME=value lines from a file or pipe, not from the environment',
  )
}

/**
 * Returns `env` with the file's variables. The file is read once, so a pipe works:
 * `--credential-file <(pass show anthropic)`.
 *
 * @throws {RunnerError} `config_invalid`, without a value: unreadable, empty, no credential, or set in `env` too.
 */
export function withCredentialFile(env: Env, file: string | undefined): Env {
  if (file === undefined) return env
  const refuse = (why: string): RunnerError =>
    new RunnerError('config_invalid', `--credential-file ${file}: ${why}`)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw refuse(toMessage(error))
  }
  if (Buffer.byteLength(text) > FILE_BYTES_MAX) throw refuse(`it is longer than ${FILE_BYTES_MAX} bytes`)
  const held = parseEnv(text)
  const names = Object.keys(held)
  if (names.length === 0) throw refuse('it holds no line of the form NAME=value')
  const foreign = names.filter((name) => !NAMES.test(name))
  if (foreign.length > 0) throw refuse(`${foreign.join(', ')}: no credential; set it in the environment`)
  const twice = names.filter((name) => (env[name] ?? '') !== '')
  if (twice.length > 0) throw refuse(`${twice.join(', ')}: set in the environment too; unset it there`)
  return { ...env, ...held }
}
