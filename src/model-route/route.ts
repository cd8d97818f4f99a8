import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { z } from 'zod'
import { RunnerError, toMessage } from '../errors.ts'
import { type HttpProxy, proxyOn, readProxy } from '../proxy-settings.ts'
import { credentialHeaders } from './credentials.ts'
import type { RouteEnv } from './route-kind.ts'
import { RouteSecrets } from './route-secrets.ts'

/** Upper bound of the shell's search for the route, in milliseconds; it takes 2 ms and starts nothing. */
const DETECT_TIMEOUT_MS = 10_000

/** The variable that holds the route's credential; `placeholder` is a key that is no secret. */
const Credential = z.enum([
  'placeholder',
  'ANTHROPIC_API_KEY',
  'ANTHROPIC_AUTH_TOKEN',
  'CLAUDE_CODE_OAUTH_TOKEN',
])

const orNull = <T extends z.ZodType>(schema: T) => z.union([z.literal('').transform(() => null), schema])

const facts = {
  /** What decided the route: the name of a variable, or `sandbox CA`. */
  reason: z.string().min(1),
  /** The proxy on the way, its credentials redacted; null when there is none, or NO_PROXY leads past it. */
  proxyUrl: orNull(z.string()),
  /** `NO_PROXY` as Claude Code gets it; may be empty. */
  noProxy: z.string(),
  /** `NODE_EXTRA_CA_CERTS` as Claude Code gets it, or null. The file may not exist. */
  caFile: orNull(z.string()),
  /** `SSL_CERT_FILE` as Claude Code gets it, or null. */
  caBundle: orNull(z.string()),
}

/** An address without its query, its credentials redacted. */
const baseUrl = z.string().refine((url) => /^https?:/i.test(url) && URL.canParse(url))

const reachedByUrl = { ...facts, baseUrl, credential: Credential }
const reachedByCloud = {
  ...facts,
  baseUrl: z.literal('').transform(() => null),
  credential: orNull(Credential),
}

const RouteFacts = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('custom'), ...reachedByUrl }),
  z.object({ kind: z.literal('gateway'), ...reachedByUrl }),
  z.object({ kind: z.literal('vertex'), ...reachedByCloud }),
  z.object({ kind: z.literal('bedrock'), ...reachedByCloud }),
  z.object({ kind: z.literal('oauth'), ...reachedByUrl }),
  z.object({ kind: z.literal('api_key'), ...reachedByUrl }),
  z.object({ kind: z.literal('none'), ...reachedByCloud }),
])

/**
 * The route to a model, as `wrappers/model-route.sh` decided it (contract section 3). Every field may be shown to
 * anyone, except the content of `secrets`, which prints as nothing.
 */
export type ModelRoute = Readonly<z.infer<typeof RouteFacts>> & { readonly secrets: RouteSecrets }

export interface DetectOptions {
  /** The runner's environment, which decides the route. Not modified. */
  env: RouteEnv
  /** The folder that holds `model-route.sh`. */
  wrappersDirectory: string
  signal: AbortSignal
}

/**
 * Finds the model route by running the same shell code that every start of Claude Code runs.
 *
 * A missing route is no error: kind `none`. Throws `config_invalid` when `ANTHROPIC_BASE_URL` is no http(s) address or
 * the proxy on the way cannot be used, `internal` when the shell code is missing or broken, and the signal's reason
 * when aborted.
 */
export async function detectRoute({ env, wrappersDirectory, signal }: DetectOptions): Promise<ModelRoute> {
  signal.throwIfAborted()
  const printed = await runScript(join(wrappersDirectory, 'model-route.sh'), env, signal)
  const said = {
    kind: printed.get('AGUI_ROUTE_KIND'),
    reason: printed.get('AGUI_ROUTE_REASON'),
    baseUrl: printed.get('AGUI_ROUTE_BASE_URL'),
    proxyUrl: printed.get('AGUI_ROUTE_PROXY'),
    noProxy: printed.get('AGUI_ROUTE_NO_PROXY'),
    caFile: printed.get('AGUI_ROUTE_CA_FILE'),
    caBundle: printed.get('AGUI_ROUTE_CA_BUNDLE'),
    credential: printed.get('AGUI_ROUTE_CREDENTIAL'),
  }
  const parsed = RouteFacts.safeParse(said, { jitless: true })
  if (!parsed.success) throw toFailure(parsed.error)
  const shown = parsed.data
  const baseUrl = shown.kind === 'custom' ? (env['ANTHROPIC_BASE_URL'] ?? null) : shown.baseUrl
  const proxy = proxyOf(shown, baseUrl, { env, variable: printed.get('AGUI_ROUTE_PROXY_VARIABLE') ?? '' })
  const route = proxy === null ? { ...shown, proxyUrl: null } : shown
  const headers = credentialHeaders(env, route.kind)
  return Object.freeze({ ...route, secrets: new RouteSecrets({ baseUrl, proxy, headers }) })
}

/** Returns the proxy on the way to the model; null when there is none, or `NO_PROXY` leads past it. */
function proxyOf(
  { kind, proxyUrl, noProxy }: z.infer<typeof RouteFacts>,
  baseUrl: string | null,
  { env, variable }: { env: RouteEnv; variable: string },
): HttpProxy | null {
  if (kind === 'none' || proxyUrl === null) return null
  // Without a variable, the proxy is the one that model-route.sh put in, which has no credentials.
  const proxy = { variable: variable || 'HTTPS_PROXY', value: env[variable] ?? proxyUrl, noProxy }
  if (baseUrl === null) return readProxy(proxy.variable, proxy.value)
  const { hostname: host, port, protocol } = new URL(baseUrl)
  return proxyOn({ host, port: Number(port || (protocol === 'https:' ? 443 : 80)) }, proxy) ?? null
}

/**
 * Returns the binary that the wrappers run: `CLAUDE_CLI_PATH`, else the image's, else the one npm installed.
 * Throws `claude_not_found` with the wrapper's own sentence when there is none.
 */
export async function findClaude({ env, wrappersDirectory, signal }: DetectOptions): Promise<string> {
  signal.throwIfAborted()
  const printed = await runScript(join(wrappersDirectory, 'claude-start.sh'), env, signal)
  return z.string().min(1).parse(printed.get('AGUI_CLAUDE_PATH'))
}

/** Returns the wrapper that the server starts; the standard one decides about file mode from OPENSHELL_ENABLED. */
export function wrapperPath(env: RouteEnv, wrappersDirectory: string): string {
  const isDirect = (env['OPENSHELL_ENABLED'] ?? '') === ''
  return join(wrappersDirectory, isDirect ? 'openshell-claude-wrapper.sh' : 'standard-claude-wrapper.sh')
}

/** Runs `sh FILE --print` and reads its NUL-separated `KEY=VALUE` pairs. */
function runScript(file: string, env: RouteEnv, signal: AbortSignal): Promise<Map<string, string>> {
  // The server's allocator is not the shell's; and the loader's words on one that it cannot load would be the script's.
  const own = { ...env, LD_PRELOAD: undefined }
  const options = { env: own, signal, timeout: DETECT_TIMEOUT_MS, killSignal: 'SIGKILL' } as const
  return new Promise((resolve, reject) => {
    const child = execFile('/bin/sh', [file, '--print'], options, (error, stdout, stderr) => {
      if (error === null) resolve(new Map(stdout.split('\0').map(splitPair)))
      else if (signal.aborted) reject(signal.reason)
      else reject(scriptFailure(file, error, stderr))
    })
    child.stdin?.end()
  })
}

const splitPair = (pair: string): [string, string] => {
  const at = pair.indexOf('=')
  return [pair.slice(0, Math.max(at, 0)), pair.slice(at + 1)]
}

function scriptFailure(file: string, error: Error & { code?: unknown }, stderr: string): RunnerError {
  // Exit code 127 with a sentence is the script's own verdict; without one the installation is broken.
  if (error.code === 127 && stderr.startsWith('claude-start.sh: ')) {
    return new RunnerError('claude_not_found', stderr.slice('claude-start.sh: '.length).trim(), {
      cause: error,
    })
  }
  const why = stderr.trim() === '' ? toMessage(error) : stderr.trim()
  return new RunnerError('internal', `${file} failed (${why}); the wrappers folder has to be complete`, {
    cause: error,
  })
}

function toFailure(error: z.ZodError): RunnerError {
  if (error.issues.every((issue) => issue.path[0] === 'baseUrl')) {
    const message = 'ANTHROPIC_BASE_URL is not an http or https address, such as https://gateway.example'
    return new RunnerError('config_invalid', message, { cause: error })
  }
  return new RunnerError('internal', `model-route.sh printed facts that are not a route: ${error.message}`, {
    cause: error,
  })
}
