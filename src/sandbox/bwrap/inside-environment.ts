import { proxiedEnvironment } from '../egress/proxied-environment.ts'
import { insideClaude } from './mount-view.ts'
import { PROXY_HOST, PROXY_PORT } from './network-namespace.ts'
import { INSIDE_TLS, type Places } from './places.ts'

/** Host name inside for a model on this machine's own loopback. */
export const MODEL_ALIAS = 'model.agui-runner.internal'

/** Variables with the model's address for Claude Code; one route uses at most one of them. */
const MODEL_ADDRESSES = ['ANTHROPIC_BASE_URL', 'ANTHROPIC_VERTEX_BASE_URL', 'ANTHROPIC_BEDROCK_BASE_URL']

const NETWORK = proxiedEnvironment(`http://${PROXY_HOST}:${PROXY_PORT}`, INSIDE_TLS)

/** Variables that would lead out of the mount view, or around it. */
const DROPPED = [
  'all_proxy',
  'SSL_CERT_DIR',
  'CLAUDE_CODE_TMPDIR',
  'LD_PRELOAD',
  'LD_LIBRARY_PATH',
  'LD_AUDIT',
]
const XDG = ['XDG_CACHE_HOME', 'XDG_CONFIG_HOME', 'XDG_DATA_HOME', 'XDG_STATE_HOME', 'XDG_RUNTIME_DIR']

/** Returns the environment of a process inside: `env` with the proxy, the certificates and the private folders. */
export function insideEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  { places, modelPort }: { places: Places; modelPort: number | undefined },
): Record<string, string> {
  const kept = Object.entries(env).filter(([name]) => ![...DROPPED, ...XDG].includes(name))
  const inside: Record<string, string> = {}
  for (const [name, value] of kept) if (value !== undefined) inside[name] = value
  Object.assign(inside, NETWORK, {
    HOME: places.home,
    TMPDIR: places.temporary,
    CLAUDE_CODE_TMPDIR: places.temporary,
    PATH: inside['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
  })
  if (places.claude !== undefined) inside['CLAUDE_CLI_PATH'] = insideClaude()
  for (const name of MODEL_ADDRESSES) {
    const model = inside[name]
    if (modelPort === undefined || model === undefined || !URL.canParse(model)) continue
    const url = new URL(model)
    url.hostname = MODEL_ALIAS
    // `href` adds a slash to an address without a path; an address written without one stays without.
    inside[name] = model.endsWith('/') ? url.href : url.href.replace(/\/$/, '')
  }
  return inside
}
