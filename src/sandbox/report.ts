// Reports which parts of the policy are enforced here, and how. Every part has an entry, so nothing is assumed.
import { isTcp, l7Protocol } from '../policy/read/endpoint.ts'
import type { Policy } from '../policy/read/schema.ts'

type PartState = 'enforced' | 'partial' | 'not_enforced' | 'not_in_policy'
type Part =
  | 'fs.read'
  | 'fs.write'
  | 'net.deny_direct'
  | 'net.hosts'
  | 'net.l7'
  | 'net.binaries'
  | 'net.private_ips'
  | 'process.user'
  | 'syscalls'
  | 'limits'

export interface PartReport {
  state: PartState
  how: string
  why?: string
}

export interface EnforcementReport {
  backend: 'openshell' | 'launcher' | 'bwrap' | 'none'
  parts: Record<Part, PartReport>
  /** The read_only and read_write paths as applied, by their names inside. */
  paths: { mounted: string[]; skipped: { path: string; why: string }[] }
  /** Endpoints whose protocol the proxy does not carry; anything but HTTP is refused on them. */
  unsupported: { policy: string; endpoint: string; feature: string; action: 'refused' }[]
  /** Points in which this backend is stricter than OpenShell. */
  stricter: string[]
  /** Points in which this backend allows what the policy does not list. */
  looser: string[]
}

const PARTS: readonly Part[] = [
  'fs.read',
  'fs.write',
  'net.deny_direct',
  'net.hosts',
  'net.l7',
  'net.binaries',
  'net.private_ips',
  'process.user',
  'syscalls',
  'limits',
]

const UNREAD_PROTOCOLS: ReadonlySet<string> = new Set(['sql'])

/** Returns a report with every part in the same state, as under OpenShell or without enforcement. */
export function uniformReport(
  backend: 'openshell' | 'launcher' | 'none',
  part: PartReport,
): EnforcementReport {
  const parts = Object.fromEntries(PARTS.map((name) => [name, part])) as Record<Part, PartReport>
  return { backend, parts, paths: { mounted: [], skipped: [] }, unsupported: [], stricter: [], looser: [] }
}

/** Returns the report of a runner that `agui-runner launch` put in a container or process (outside.md 2.2). */
export function launcherReport(mode: string): EnforcementReport {
  const around: PartReport = {
    state: 'enforced',
    how: 'the launch: read-only root, no capability, no new privileges',
  }
  const network: PartReport =
    mode === 'public'
      ? { state: 'not_enforced', how: 'none', why: 'the network of a public launch is open' }
      : { state: 'enforced', how: 'no network; the broker judges every host by the policy that it has' }
  const report = uniformReport('launcher', around)
  for (const part of ['net.deny_direct', 'net.hosts', 'net.l7', 'net.private_ips'] as const)
    report.parts[part] = network
  report.parts['net.binaries'] = {
    state: 'not_enforced',
    how: 'none',
    why: 'the broker cannot see who dials',
  }
  report.looser.push('files are the launch’s: what the policy lists as readable only is not looked at')
  return report
}

export interface BwrapFacts {
  policy: Policy
  mounted: readonly string[]
  skipped: readonly { path: string; why: string }[]
  uid: number
  hasFilter: boolean
  model: string | undefined
}

export function bwrapReport({
  policy,
  mounted,
  skipped,
  uid,
  hasFilter,
  model,
}: BwrapFacts): EnforcementReport {
  const enforced = (how: string): PartReport => ({ state: 'enforced', how })
  const network = 'empty network namespace; the one open port is the proxy'
  return {
    backend: 'bwrap',
    parts: {
      'fs.read': enforced('mount view: what is not listed does not exist inside'),
      'fs.write': enforced('mount view: read-only mounts'),
      'net.deny_direct': enforced(network),
      'net.hosts': enforced('CONNECT proxy with the policy of this run'),
      'net.l7': enforced(
        'TLS opened with an authority of this run; requests, their bodies and WebSocket messages judged one by one',
      ),
      'net.binaries': {
        state: 'enforced',
        how: '/proc/PID/exe of whoever holds the socket, and of its parents',
        why: 'by path, not by hash',
      },
      'net.private_ips': enforced('every resolved address is judged, and that address is dialled'),
      'process.user': enforced(`runs as uid ${uid}, without capabilities, in a user namespace of its own`),
      syscalls: hasFilter
        ? enforced("seccomp filter with OpenShell's list")
        : { state: 'not_enforced', how: 'none', why: `no filter for ${process.arch}` },
      limits: { state: 'not_in_policy', how: 'the policy has none' },
    },
    paths: { mounted: [...mounted], skipped: [...skipped] },
    unsupported: unsupportedEndpoints(policy),
    stricter: [
      'the runner is no ancestor: a rule for its node grants nothing inside',
      'what git would execute or follow later (.git/config, hooks and their like), .claude/settings*.json and .mcp.json are read-only',
      'unlisted paths are absent, not merely refused; their names do not show',
      'HTTP upgrades are refused but for WebSockets on endpoints of protocol websocket, which run uncompressed',
      'a binary WebSocket message passes where a text would, and nowhere beside GraphQL rules',
      'JSON and GraphQL bodies that two servers could read in two ways are refused',
    ],
    looser: [
      'wrappers, the Claude Code binary and certificates are mounted read-only whether listed or not',
      'stat is possible only where something is mounted, chmod and chown wherever it is writable',
      ...(model === undefined ? [] : [`${model} (the configured model) is open without a rule`]),
    ],
  }
}

function unsupportedEndpoints(policy: Policy): EnforcementReport['unsupported'] {
  return Object.entries(policy.network_policies).flatMap(([name, rule]) =>
    rule.endpoints.flatMap((endpoint) => {
      const feature = isTcp(endpoint) ? 'tcp' : (l7Protocol(endpoint) ?? '')
      if (!UNREAD_PROTOCOLS.has(feature)) return []
      const ports = endpoint.ports.length > 0 ? endpoint.ports : [endpoint.port]
      return [
        {
          policy: name,
          endpoint: `${endpoint.host}:${ports.join(',')}`,
          feature,
          action: 'refused' as const,
        },
      ]
    }),
  )
}

/** Returns the parts that are not fully enforced, each as `PART: reason`. */
export function gapsOf({ parts }: EnforcementReport): string[] {
  return PARTS.filter((part) => ['partial', 'not_enforced'].includes(parts[part].state)).map(
    (part) => `${part}: ${parts[part].why ?? parts[part].how}`,
  )
}

/**
 * Returns one line for a person: what is not enforced and why. For a machine that lacks a program, the reason says what
 * to install. Returns undefined when the whole policy is enforced.
 */
export function shortfallOf(report: EnforcementReport): string | undefined {
  const gaps = gapsOf(report)
  if (gaps.length === 0) return undefined
  const { backend, parts } = report
  // Without a backend every part has the same reason.
  if (backend === 'none') return `Policy not enforced: ${parts['fs.read'].why}`
  return `Policy not enforced in full: ${gaps.join('; ')}`
}

/** Decides whether writes and network access are confined from outside Claude Code, as never-ask requires. */
export function isConfining({ backend, parts }: EnforcementReport): boolean {
  if (backend === 'none') return false
  return (['fs.write', 'net.deny_direct', 'net.hosts'] as const).every(
    (part) => parts[part].state === 'enforced',
  )
}
