import { existsSync } from 'node:fs'
import { z } from 'zod'
import { emptyIsUnset, flagField as flag, textField as text } from './config-fields.ts'
import { parseTarget, type Target } from './tunnel/connect.ts'
import { wholeNumber } from './whole-number.ts'

/** Where Kubernetes puts the authority of services of the cluster. */
const SERVICE_CA_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/service-ca.crt'

/** What the control plane sets for the message link (control-plane.md 1.7). */
export const LINK_FIELDS = {
  AMBIENT_GRPC_ENABLED: flag,
  AMBIENT_GRPC_URL: text.refine(
    (value) => value === undefined || parseTarget(value) !== undefined,
    'must be host:port, without a scheme',
  ),
  AMBIENT_GRPC_USE_TLS: flag,
  AMBIENT_GRPC_CA_CERT_FILE: text,
  AMBIENT_CP_CA_CERT_FILE: text,
  AMBIENT_CP_TOKEN_URL: z.preprocess(
    emptyIsUnset,
    z
      .url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' })
      .refine((url) => new URL(url).username === '' && new URL(url).password === '', {
        error: 'must hold no user name and no password',
      })
      .optional(),
  ),
  AMBIENT_CP_TOKEN_PUBLIC_KEY: text,
  AMBIENT_RUNNER_BOOTSTRAP_TOKEN: text,
  AMBIENT_ALLOW_INSECURE_RUNNER_TRANSPORT: text,
  BOT_TOKEN: text,
  ACP_MESSAGE_CURSOR_FILE: text,
  RESUME_AFTER_SEQ: z.preprocess(emptyIsUnset, wholeNumber().optional()),
}

const Fields = z.object(LINK_FIELDS)
type LinkFields = z.infer<typeof Fields>

/** How the runner proves who it is. All of it is secret but the addresses. */
export type TokenSource =
  | { kind: 'bootstrap'; url: string; token: string }
  | { kind: 'session'; url: string; publicKey: string; sessionId: string }
  | { kind: 'fixed'; token: string }
  | { kind: 'none' }

export interface LinkSettings {
  sessionId: string
  server: Target
  useTls: boolean
  /** PEM, trusted beside the system's for the messages. */
  messagesCaFile: string | undefined
  /** PEM, trusted beside the system's for tokens. */
  tokenCaFile: string | undefined
  tokens: TokenSource
  /** Where the control plane keeps what the runner has accepted; undefined where it does not. */
  cursorFile: string | undefined
  /** The last message before this start, where the control plane says it. */
  resumeAfterSeq: number | undefined
  isResume: boolean
}

/** Undefined when no link is asked for. Call when `linkProblems` has none. */
export function linkSettings(
  v: LinkFields & { IS_RESUME: boolean; SESSION_ID?: string | undefined },
): LinkSettings | undefined {
  const server = v.AMBIENT_GRPC_ENABLED ? parseTarget(v.AMBIENT_GRPC_URL ?? '') : undefined
  if (server === undefined || v.SESSION_ID === undefined) return undefined
  const serviceCaFile = existsSync(SERVICE_CA_FILE) ? SERVICE_CA_FILE : undefined
  return {
    sessionId: v.SESSION_ID,
    server,
    useTls: v.AMBIENT_GRPC_USE_TLS,
    messagesCaFile: v.AMBIENT_GRPC_CA_CERT_FILE ?? serviceCaFile,
    tokenCaFile: v.AMBIENT_CP_CA_CERT_FILE,
    tokens: tokenSource(v, v.SESSION_ID),
    cursorFile: v.ACP_MESSAGE_CURSOR_FILE,
    resumeAfterSeq: v.RESUME_AFTER_SEQ,
    isResume: v.IS_RESUME,
  }
}

/** Whoever has a bootstrap token is of the newest scheme, which takes nothing else (control-plane.md 1.5). */
function tokenSource(v: LinkFields, sessionId: string): TokenSource {
  const { AMBIENT_CP_TOKEN_URL: url, AMBIENT_RUNNER_BOOTSTRAP_TOKEN: token } = v
  if (url !== undefined && token !== undefined) return { kind: 'bootstrap', url, token }
  const publicKey = v.AMBIENT_CP_TOKEN_PUBLIC_KEY
  if (url !== undefined && publicKey !== undefined) return { kind: 'session', url, publicKey, sessionId }
  return v.BOT_TOKEN === undefined ? { kind: 'none' } : { kind: 'fixed', token: v.BOT_TOKEN }
}

const SECRETS = ['AMBIENT_RUNNER_BOOTSTRAP_TOKEN', 'BOT_TOKEN'] as const
const HEADER_WORD = /^[\x21-\x7e]+$/

export function linkProblems(v: LinkFields & { SESSION_ID?: string | undefined }): string[] {
  if (!v.AMBIENT_GRPC_ENABLED) return []
  // Else it would end every call, and stand in the reason.
  const problems = SECRETS.flatMap((name) =>
    HEADER_WORD.test(v[name] ?? '-')
      ? []
      : [`${name}: must be one word of printable ASCII; is there a line break or a blank at its end?`],
  )
  if (v.AMBIENT_GRPC_URL === undefined)
    problems.push('AMBIENT_GRPC_URL: must be set when AMBIENT_GRPC_ENABLED is')
  if (v.SESSION_ID === undefined) problems.push('SESSION_ID: must be set when AMBIENT_GRPC_ENABLED is')
  const { AMBIENT_CP_TOKEN_URL: url, AMBIENT_RUNNER_BOOTSTRAP_TOKEN: bootstrap } = v
  if (url !== undefined && bootstrap === undefined && v.AMBIENT_CP_TOKEN_PUBLIC_KEY === undefined)
    problems.push(
      'AMBIENT_CP_TOKEN_URL: needs AMBIENT_RUNNER_BOOTSTRAP_TOKEN or AMBIENT_CP_TOKEN_PUBLIC_KEY, with which a token is asked for there',
    )
  if (url === undefined && bootstrap !== undefined)
    problems.push(
      'AMBIENT_RUNNER_BOOTSTRAP_TOKEN: needs AMBIENT_CP_TOKEN_URL, where it is exchanged for a token',
    )
  if (bootstrap === undefined || v.AMBIENT_ALLOW_INSECURE_RUNNER_TRANSPORT === 'true') return problems
  const unless = 'unless AMBIENT_ALLOW_INSECURE_RUNNER_TRANSPORT is true'
  if (url !== undefined && !url.startsWith('https:'))
    problems.push(`AMBIENT_CP_TOKEN_URL: must be an https:// URL, ${unless}`)
  if (!v.AMBIENT_GRPC_USE_TLS) problems.push(`AMBIENT_GRPC_USE_TLS: must be true, ${unless}`)
  return problems
}
