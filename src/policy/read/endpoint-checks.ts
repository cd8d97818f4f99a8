// Checks of one endpoint at a time (openshell.md 1.4). Checks that only one loader makes depend on `mode`.
import { isIP } from 'node:net'
import { overlapsAlwaysBlocked, parseNetwork } from '../match/address.ts'
import { compileGlob, GlobError } from '../match/glob.ts'
import { parseHostPattern } from '../match/host-pattern.ts'
import type { Finding, Path, Severity } from './document.ts'
import { allowsAllMcpMethods, isTcp, jsonRpcBodyLimit, l7Protocol, portsOf } from './endpoint.ts'
import { looseWord } from './release.ts'
import { type EndpointSite, globWarning } from './site.ts'

export function checkEndpoint(site: EndpointSite): Finding[] {
  const { report, findings } = collector(site)
  if (site.mode === 'typed') {
    checkHostAndPorts(site, report)
    checkSigning(site, report)
  }
  checkHostWildcard(site, report)
  checkProtocol(site, report)
  checkTcpFields(site, report)
  checkPathAndGraphql(site, report)
  if (site.mode === 'file') checkUntyped(site, report)
  warnAboutEndpoint(site, (path, message) => report(path, message, 'warning'))
  return [...findings, ...findLooseWords(site)]
}

type Report = (path: Path, message: string, severity?: Severity) => void

function collector(site: EndpointSite): { report: Report; findings: Finding[] } {
  const findings: Finding[] = []
  const report: Report = (path, message, severity = 'error') => {
    findings.push({ severity, path: [...site.path, ...path], message })
  }
  return { report, findings }
}

function checkHostAndPorts({ endpoint }: EndpointSite, report: Report): void {
  const { host } = endpoint
  if (host.trim() === '') {
    if (isTcp(endpoint)) report([], 'protocol tcp needs a DNS host')
    else if (endpoint.allowed_ips.length === 0)
      report([], 'an endpoint needs a host unless allowed_ips is given')
  } else if (isTcp(endpoint)) {
    const reason = tcpHostProblem(host)
    if (reason !== undefined)
      report(['host'], `protocol tcp needs a DNS host, "${host}" is not one: ${reason}`)
  }
  if (portsOf(endpoint).length === 0) report([], 'an endpoint needs a port from 1 to 65535')
  for (const [index, port] of endpoint.ports.entries()) {
    if (port === 0) report(['ports', index], 'a port must be from 1 to 65535')
  }
}

function tcpHostProblem(host: string): string | undefined {
  if (isIP(host) !== 0) return 'an IP address bypasses policy DNS'
  if (host.trim() !== host) return 'it begins or ends with a blank'
  if (host.endsWith('.')) return 'omit the trailing dot'
  try {
    parseHostPattern(host)
  } catch (error) {
    if (error instanceof GlobError) return error.message
    throw error
  }
  const labels = host.split('.').map((label) => (label === '**' ? 'x' : label.replaceAll('*', 'x')))
  // These are the rules of hickory, the library with which OpenShell answers DNS.
  if (!labels.every((label) => /^\w[\w-]*$/.test(label)))
    return 'a label holds more than letters, digits, _ and -'
  if (labels.some((label) => label.length > 63)) return 'a label is longer than 63 bytes'
  if (labels.join('.').length > 253) return 'it is longer than 253 bytes'
  return undefined
}

function checkHostWildcard({ endpoint: { host } }: EndpointSite, report: Report): void {
  if (!host.includes('*')) return
  const [first = '', ...others] = host.split('.')
  if (host === '*' || host === '**') report(['host'], `"${host}" matches every host`)
  else if (first.includes('**') && first !== '**') {
    report(['host'], `"**" must be the whole first label: "${host}"`)
  } else if (others.some((label) => label.includes('**'))) {
    report(['host'], `"**" is allowed as the first label only: "${host}"`)
  } else if (others.some((label) => label.includes('*') && label !== '*')) {
    report(['host'], `after the first label a wildcard must be the whole label: "${host}"`)
  } else if (others.length <= 1) report(['host'], `"${host}" covers a whole top-level domain`)
}

function checkSigning({ endpoint }: EndpointSite, report: Report): void {
  const signing = endpoint.credential_signing
  if (signing === '') return
  if (!['sigv4', 'sigv4:body', 'sigv4:no_body'].includes(signing)) {
    report(['credential_signing'], `must be sigv4, sigv4:body or sigv4:no_body, not "${signing}"`)
  }
  if (endpoint.signing_service === '') report(['credential_signing'], 'needs signing_service')
  if (endpoint.request_body_credential_rewrite) {
    report(['credential_signing'], 'excludes request_body_credential_rewrite')
  }
}

function checkProtocol({ endpoint }: EndpointSite, report: Report): void {
  const { protocol, access } = endpoint
  const known = l7Protocol(endpoint)
  const hasRules = endpoint.rules.length > 0
  const hasDenyRules = endpoint.deny_rules.length > 0
  const isMcp = known === 'mcp'
  const isJsonRpc = known === 'json-rpc'
  if (protocol !== '' && known === undefined && !isTcp(endpoint)) {
    report(['protocol'], `unknown protocol "${protocol}" (tcp, rest, websocket, graphql, sql, json-rpc, mcp)`)
  }
  if (isTcp(endpoint) && (access !== '' || hasRules || hasDenyRules)) {
    report(['protocol'], 'protocol tcp takes no access, rules or deny_rules')
  }
  if (hasRules && access !== '') report(['access'], 'rules and access exclude each other')
  if ((isMcp || isJsonRpc) && access !== '') {
    report(['access'], `protocol ${protocol} has no access presets; use rules`)
  }
  const hasBase = hasRules || access !== ''
  if (isJsonRpc && !hasBase) report(['protocol'], 'protocol json-rpc needs rules with a method')
  else if (isMcp && !hasBase && !allowsAllMcpMethods(endpoint)) {
    report(['protocol'], 'protocol mcp needs rules, or mcp.allow_all_known_mcp_methods')
  } else if (known !== undefined && !isMcp && !isJsonRpc && !hasBase) {
    report(['protocol'], `protocol ${protocol} needs rules or access: nothing would be allowed`)
  }
  if (deniesAll(endpoint) && !(isMcp && allowsAllMcpMethods(endpoint))) {
    report(['rules'], 'every rule is empty: nothing would be allowed')
  }
  if (hasDenyRules && known === undefined) report(['deny_rules'], 'deny_rules need a protocol')
  if (hasDenyRules && !isMcp && !hasBase)
    report(['deny_rules'], 'deny_rules need rules or access to deny from')
  if (protocol === 'mcp' && endpoint.host.trim() === '') report([], 'protocol mcp needs a host')
  if (protocol === 'mcp' && portsOf(endpoint).length === 0) report([], 'protocol mcp needs a port')
}

function deniesAll({ rules }: EndpointSite['endpoint']): boolean {
  return (
    rules.length > 0 &&
    rules.every(
      ({ allow }) =>
        [allow.method, allow.path, allow.command, allow.operation_type, allow.operation_name].every(
          (text) => text === '',
        ) &&
        allow.tool === undefined &&
        allow.params['name'] === undefined,
    )
  )
}

function checkTcpFields({ endpoint }: EndpointSite, report: Report): void {
  if (!isTcp(endpoint)) return
  const fields = Object.entries({
    enforcement: endpoint.enforcement !== '',
    path: endpoint.path !== '',
    allow_encoded_slash: endpoint.allow_encoded_slash,
    websocket_credential_rewrite: endpoint.websocket_credential_rewrite,
    request_body_credential_rewrite: endpoint.request_body_credential_rewrite,
    persisted_queries: endpoint.persisted_queries !== '',
    graphql_persisted_queries: Object.keys(endpoint.graphql_persisted_queries).length > 0,
    graphql_max_body_bytes: endpoint.graphql_max_body_bytes > 0,
    json_rpc: jsonRpcBodyLimit(endpoint) > 0,
    mcp:
      endpoint.mcp?.strict_tool_names !== undefined ||
      endpoint.mcp?.allow_all_known_mcp_methods !== undefined,
    credential_signing: endpoint.credential_signing !== '',
    signing_service: endpoint.signing_service !== '',
    signing_region: endpoint.signing_region !== '',
    credential_binding: endpoint.credential_binding !== undefined,
  }).flatMap(([field, isSet]) => (isSet ? [field] : []))
  if (fields.length > 0) report(['protocol'], `protocol tcp takes no ${fields.join(', ')}`)
}

function checkPathAndGraphql({ endpoint }: EndpointSite, report: Report): void {
  const { path, protocol } = endpoint
  if (path !== '' && !path.startsWith('/') && path !== '**') {
    report(['path'], `path must start with "/" or be "**", not "${path}"`)
  }
  if (!['', 'deny', 'allow_registered'].includes(endpoint.persisted_queries)) {
    report(['persisted_queries'], `must be deny or allow_registered, not "${endpoint.persisted_queries}"`)
  }
  if (protocol === 'sql' && endpoint.enforcement === 'enforce') {
    report(['enforcement'], 'sql cannot be enforced; use enforcement: audit')
  }
  const options = [endpoint.mcp?.strict_tool_names, endpoint.mcp?.allow_all_known_mcp_methods]
  if (protocol !== 'mcp' && options.some((option) => option !== undefined)) {
    report(['mcp'], 'mcp options need protocol mcp')
  }
}

function checkUntyped({ endpoint, path, has }: EndpointSite, report: Report): void {
  for (const list of ['rules', 'deny_rules'] as const) {
    if (has([...path, list]) && !has([...path, list, 0])) report([list], `${list} must not be empty`)
  }
  // In typed mode 0 counts as absent; in file mode it is checked.
  const limit = 'graphql_max_body_bytes'
  if (has([...path, limit]) && endpoint[limit] === 0) report([limit], 'must be a positive integer')
}

function warnAboutEndpoint({ endpoint }: EndpointSite, warn: (path: Path, message: string) => void): void {
  const { protocol, tls, access } = endpoint
  warnAboutGlobs(endpoint, warn)
  if (tls === 'skip' && protocol !== '' && portsOf(endpoint).includes(443)) {
    warn(['tls'], 'tls skip on port 443 leaves nothing for the protocol to inspect')
  }
  if (protocol === '' && (access !== '' || endpoint.rules.length > 0)) {
    warn([access !== '' ? 'access' : 'rules'], 'needs a protocol: without one every request is allowed')
  }
  if (endpoint.port > 0 && endpoint.ports.length > 0) warn(['port'], 'is ignored: ports is given')
  const graphql =
    endpoint.persisted_queries !== '' ||
    Object.keys(endpoint.graphql_persisted_queries).length > 0 ||
    endpoint.graphql_max_body_bytes > 0
  if (graphql && protocol !== 'graphql' && protocol !== 'websocket') {
    warn([], 'GraphQL fields are ignored unless the protocol is graphql or websocket')
  }
  if (jsonRpcBodyLimit(endpoint) > 0 && protocol !== 'mcp' && protocol !== 'json-rpc') {
    warn([], 'json_rpc is ignored unless the protocol is json-rpc or mcp')
  }
  if (endpoint.websocket_credential_rewrite && protocol !== 'rest' && protocol !== 'websocket') {
    warn(['websocket_credential_rewrite'], 'is ignored unless the protocol is rest or websocket')
  }
  if (endpoint.request_body_credential_rewrite && protocol !== 'rest') {
    warn(['request_body_credential_rewrite'], 'is ignored unless the protocol is rest')
  }
}

/** Finds words that one release reads as its default and a later release refuses. */
function findLooseWords({ endpoint, path, release }: EndpointSite): Finding[] {
  const { protocol, tls, access, enforcement } = endpoint
  const loose: [key: string, message: string][] = []
  if (tls === 'terminate' || tls === 'passthrough') {
    loose.push(['tls', `"${tls}" is deprecated: termination is automatic, and only skip turns it off`])
  } else if (!['', 'skip'].includes(tls))
    loose.push(['tls', `"${tls}" means nothing; only skip turns termination off`])
  if (access !== '' && !['read-only', 'read-write', 'full'].includes(access)) {
    loose.push(['access', `unknown preset "${access}" allows nothing (read-only, read-write, full)`])
  }
  if (!['', 'enforce', 'audit'].includes(enforcement)) {
    loose.push(['enforcement', `"${enforcement}" means audit; only enforce blocks`])
  }
  if (endpoint.mcp !== undefined && protocol.toLowerCase() !== 'mcp') {
    loose.push(['mcp', 'mcp does nothing without protocol mcp'])
  }
  return loose.map(([key, message]) => looseWord(release, [...path, key], message))
}

function warnAboutGlobs(
  endpoint: EndpointSite['endpoint'],
  warn: (path: Path, message: string) => void,
): void {
  const path = globWarning(endpoint.path)
  if (path !== undefined) warn(['path'], path)
  if (endpoint.host.includes('*')) {
    try {
      compileGlob(endpoint.host, '.')
    } catch (error) {
      if (!(error instanceof GlobError)) throw error
      warn(['host'], `malformed glob (${error.message}): every connection would be refused`)
    }
  }
  for (const [index, text] of endpoint.allowed_ips.entries()) {
    const network = parseNetwork(text)
    if (network === undefined)
      warn(['allowed_ips', index], `"${text}" is no address: every connection is refused`)
    else if (overlapsAlwaysBlocked(network)) {
      warn(['allowed_ips', index], `"${text}" reaches loopback or link-local: every connection is refused`)
    } else if (network.prefix < 16) warn(['allowed_ips', index], `"${text}" is very broad`)
  }
}
