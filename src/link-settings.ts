import { existsSync } from 'node:fs'
import { z } from 'zod'
import { emptyIsUnset, flagField as flag, textField as text } from './config-fields.ts'
import { parseTarget, type Target } from './tunnel/connect.ts'
import { wholeNumber } from './whole-number.ts'

/** The file in which Kubernetes provides the certificate authority of the cluster's services. */
const SERVICE_CA_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/service-ca.crt'

/** The variables that the control plane sets for the message link (control-plane.md 1.7). */
export const LINK_FIELDS = {
  AMBIENT_GRPC_ENABLED: flag,
  AMBIENT_GRPC_URL: text,
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

/** How the runner authenticates to the control plane. Everything but the addresses is secret. */
export type TokenSource =
  | { kind: 'bootstrap'; url: string; token: string }
  | { kind: 'session'; url: string; publicKey: string; sessionId: string }
  | { kind: 'fixed'; token: string }
  | { kind: 'none' }

export interface LinkSettings {
  sessionId: string
  server: Target
  useTls: boolean
  /** A PEM file of authorities that the message connection trusts beside the system's. */
  messagesCaFile: string | undefined
  /** A PEM file of authorities that token requests trust beside the system's. */
  tokenCaFile: string | undefined
  tokens: TokenSource
  /** The control plane's file with the seq of the last accepted message; undefined when there is none. */
  cursorFile: string | undefined
  /** The seq of the last message before this start; undefined when the control plane does not name it. */
  resumeAfterSeq: number | undefined
  isResume: boolean
}

/** Returns undefined when no link is configured. Call it only when `linkProblems` returns none. */
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

/** Chooses the source. A bootstrap token wins: the newest scheme accepts nothing else (control-plane.md 1.5). */
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
  else if (parseTarget(v.AMBIENT_GRPC_URL) === undefined)
    problems.push('AMBIENT_GRPC_URL: must be host:port, without a scheme')
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
  if (url !== undefined && new URL(url).protocol !== 'https:')
    problems.push(`AMBIENT_CP_TOKEN_URL: must be an https:// URL, ${unless}`)
  if (!v.AMBIENT_GRPC_USE_TLS) problems.push(`AMBIENT_GRPC_USE_TLS: must be true, ${unless}`)
  return problems
}
