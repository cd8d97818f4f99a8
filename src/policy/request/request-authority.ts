// The host that a request is for, by its Host header and by a target in absolute form. Servers differ in which of the
// two they follow, so both must agree (RFC 9112 3.2.2; OpenShell's net/l7/rest.rs, validate_absolute_form_authority).

export interface RequestAuthority {
  /** The host in lower case, without brackets and trailing dots. */
  host: string
  /** The port; undefined when it is not written. */
  port: number | undefined
}

const SCHEME_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 }
const ABSOLUTE = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)/i
const AUTHORITY = /^(\[[0-9a-f:.]+\]|[^\s:@[\]\\,]+)(?::(\d{1,5}))?$/i

/** Returns undefined for a text that is empty, holds several hosts or user information, or has a non-numeric port. */
export function parseAuthority(text: string): RequestAuthority | undefined {
  const [, name, port] = AUTHORITY.exec(text.trim()) ?? []
  if (name === undefined) return undefined
  return { host: plainHost(name), port: port === undefined ? undefined : Number(port) }
}

export function plainHost(text: string): string {
  return text
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.+$/, '')
}

export interface AbsoluteTarget {
  /** Undefined when the authority cannot be read. */
  authority: RequestAuthority | undefined
  /** The default port of the scheme; undefined for schemes other than http and https. */
  defaultPort: number | undefined
}

/** Returns undefined for a target in another form: `/a?next=http://b` names no host. */
export function absoluteTarget(target: string): AbsoluteTarget | undefined {
  const [, scheme, authority] = ABSOLUTE.exec(target) ?? []
  if (scheme === undefined) return undefined
  return { authority: parseAuthority(authority ?? ''), defaultPort: SCHEME_PORTS[scheme.toLowerCase()] }
}

/**
 * Returns why a server could take the request for another host than this proxy does; undefined when it cannot.
 *
 * @param hosts the values of all Host headers.
 */
export function authorityProblem(target: string, hosts: readonly string[]): string | undefined {
  if (hosts.length > 1) return 'there are several Host headers'
  const absolute = absoluteTarget(target)
  if (absolute === undefined) return undefined
  const { authority, defaultPort } = absolute
  if (authority === undefined || defaultPort === undefined) return 'the target names no HTTP host'
  const host = parseAuthority(hosts[0] ?? '')
  const isSame =
    host?.host === authority.host && (host.port ?? defaultPort) === (authority.port ?? defaultPort)
  return isSame ? undefined : 'the target in absolute form and the Host header name different hosts'
}
