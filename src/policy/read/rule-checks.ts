// Checks of the entries of rules and deny_rules, protocol by protocol (openshell.md 1.4, net/l7/mod.rs).

import { GlobError } from '../match/glob.ts'
import { compileSelector } from '../match/selector.ts'
import type { Finding, Path, Severity } from './document.ts'
import { allowsAllMcpMethods, hasGraphqlFields, hasGraphqlPolicy, hasStrictToolNames } from './endpoint.ts'
import type { GlobList } from './fields.ts'
import type { RuleMatcher } from './schema.ts'
import { type EndpointSite, globWarning } from './site.ts'

const OPERATIONS = ['query', 'mutation', 'subscription']
const HTTP_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', '*']
const WEBSOCKET_METHODS = ['GET', 'WEBSOCKET_TEXT', '*']

interface RuleSite extends EndpointSite {
  kind: 'allow' | 'deny'
  rulePath: Path
  matcher: RuleMatcher
  /** Whether an allow rule of the endpoint names tools. */
  narrowsTools: boolean
  /** Whether the endpoint judges GraphQL operations. */
  hasGraphql: boolean
  report: (path: Path, message: string, severity?: Severity) => void
}

export function checkRules(site: EndpointSite): Finding[] {
  const findings: Finding[] = []
  const { endpoint, path } = site
  // Known once for all rules: each of thousands would look at all others.
  const narrowsTools = endpoint.rules.some(({ allow }) => hasToolSelector(allow))
  const hasGraphql = hasGraphqlPolicy(endpoint)
  const entries = [
    ...endpoint.rules.map(({ allow }, index) => ({
      kind: 'allow' as const,
      matcher: allow,
      rulePath: [...path, 'rules', index, 'allow'],
    })),
    ...endpoint.deny_rules.map((matcher, index) => ({
      kind: 'deny' as const,
      matcher,
      rulePath: [...path, 'deny_rules', index],
    })),
  ]
  for (const entry of entries) {
    const report: RuleSite['report'] = (at, message, severity = 'error') => {
      findings.push({ severity, path: [...entry.rulePath, ...at], message })
    }
    const rule: RuleSite = { ...site, ...entry, narrowsTools, hasGraphql, report }
    checkMatchers(rule)
    checkMethod(rule)
    checkMcpAndJsonRpc(rule)
    checkGraphql(rule)
  }
  return [...findings, ...checkPersistedQueries(site)]
}

function checkMatchers({ endpoint, kind, matcher, report }: RuleSite): void {
  // OpenShell checks the query of every deny rule, and of the allow rules of two protocols.
  const readsQuery = kind === 'deny' || ['rest', 'websocket'].includes(endpoint.protocol)
  const named: [Path, GlobList][] = [
    ...Object.entries(matcher.query).map(([key, globs]): [Path, GlobList] => [['query', key], globs]),
    ...Object.entries(matcher.params).map(([key, globs]): [Path, GlobList] => [['params', key], globs]),
    ...(matcher.tool === undefined ? [] : [[['tool'], matcher.tool] as [Path, GlobList]]),
  ]
  for (const [at, globs] of named) {
    if (globs.length === 0 && (at[0] !== 'query' || readsQuery))
      report(at, 'a matcher needs at least one glob')
    for (const glob of globs) warnAboutGlob(report, at, glob)
  }
  warnAboutGlob(report, ['path'], matcher.path)
  warnAboutGlob(report, ['operation_name'], matcher.operation_name)
  for (const field of matcher.fields) warnAboutGlob(report, ['fields'], field)
}

function warnAboutGlob(report: RuleSite['report'], at: Path, glob: string): void {
  const warning = globWarning(glob)
  if (warning !== undefined) report(at, warning, 'warning')
}

function checkMethod({ endpoint, matcher, report }: RuleSite): void {
  const { protocol } = endpoint
  const { method } = matcher
  const known = { rest: HTTP_METHODS, websocket: WEBSOCKET_METHODS }[protocol]
  if (known !== undefined && method !== '' && !known.includes(method.toUpperCase())) {
    report(['method'], `unknown method "${method}" (${known.join(', ')})`, 'warning')
  }
  if (protocol === 'rest' && matcher.command !== '') report(['command'], 'command is for sql', 'warning')
}

const usesWildcard = (glob: string): boolean => /[*?[\]{}]/.test(glob)

const hasToolSelector = (matcher: RuleMatcher): boolean =>
  matcher.tool !== undefined || matcher.params['name'] !== undefined

function checkMcpAndJsonRpc(site: RuleSite): void {
  const { endpoint, matcher, report } = site
  if (endpoint.protocol === 'mcp') checkMcpRule(site)
  else if (endpoint.protocol === 'json-rpc') checkJsonRpcRule(site)
  else {
    if (matcher.tool !== undefined) report(['tool'], 'tool needs protocol mcp')
    if (hasParams(site)) report(['params'], 'params need protocol mcp')
  }
}

/** Whether the rule has params. `{}` counts as absent in typed mode, but not in file mode. */
function hasParams({ matcher, mode, rulePath, has }: RuleSite): boolean {
  return Object.keys(matcher.params).length > 0 || (mode === 'file' && has([...rulePath, 'params']))
}

function checkJsonRpcRule(site: RuleSite): void {
  const { matcher, report } = site
  if (matcher.method === '') report([], 'a json-rpc rule needs a method')
  else if (matcher.method !== '*' && usesWildcard(matcher.method)) {
    report(['method'], `a json-rpc method is "*" or an exact name, not "${matcher.method}"`)
  }
  if (matcher.tool !== undefined) report(['tool'], 'tool needs protocol mcp')
  if (hasParams(site)) report(['params'], 'json-rpc rules take no params')
  checkNoPathOrQuery(matcher, report)
}

function checkMcpRule({ endpoint, matcher, kind, narrowsTools, report }: RuleSite): void {
  const { method } = matcher
  warnAboutGlob(report, ['method'], method)
  if (usesWildcard(method) && !method.startsWith('tools/')) {
    report(['method'], 'a method glob must begin with tools/')
  }
  if (method === '' && !allowsAllMcpMethods(endpoint)) {
    report([], 'an mcp rule needs a method unless mcp.allow_all_known_mcp_methods is set')
  } else if (hasToolSelector(matcher) && method !== '' && method !== 'tools/call') {
    report(['method'], `a rule with a tool has the method tools/call, not "${method}"`)
  }
  if (matcher.tool !== undefined && matcher.params['name'] !== undefined) {
    report(['tool'], 'use either tool or params.name')
  }
  for (const key of Object.keys(matcher.params)) {
    if (key !== 'name') report(['params'], `"${key}" cannot be matched; only the tool name can`)
  }
  const names = [...(matcher.tool ?? []), ...(matcher.params['name'] ?? [])]
  if (!hasStrictToolNames(endpoint) && names.some(usesWildcard)) {
    report([matcher.tool === undefined ? 'params' : 'tool'], 'a tool glob needs mcp.strict_tool_names')
  }
  checkNoPathOrQuery(matcher, report)
  if (!narrowsTools || hasToolSelector(matcher)) return
  const coversTools =
    matchesToolsCall(method) || (kind === 'allow' && method === '' && allowsAllMcpMethods(endpoint))
  if (coversTools) report([], `${kind}s every tool call, beside rules that allow single tools`)
}

function matchesToolsCall(method: string): boolean {
  try {
    return method === 'tools/call' || compileSelector(method).matches('tools/call')
  } catch (error) {
    if (error instanceof GlobError) return false
    throw error
  }
}

function checkNoPathOrQuery(matcher: RuleMatcher, report: RuleSite['report']): void {
  if (matcher.path !== '' || Object.keys(matcher.query).length > 0) {
    report([], 'this protocol matches methods and tools, not path or query')
  }
}

function checkGraphql(site: RuleSite): void {
  const { endpoint, matcher, kind, mode, report, rulePath, has, hasGraphql } = site
  const hasFields = hasGraphqlFields(matcher)
  const isWebsocket = endpoint.protocol === 'websocket'
  if (endpoint.protocol === 'graphql' || (isWebsocket && hasFields)) checkOperationType(site)
  else if (hasFields)
    report([], 'GraphQL fields are ignored unless the protocol is graphql or websocket', 'warning')
  if (mode === 'file' && has([...rulePath, 'fields']) && matcher.fields.length === 0) {
    if (endpoint.protocol === 'graphql' || isWebsocket) report(['fields'], 'fields must not be empty')
  }
  if (matcher.fields.includes('')) report(['fields'], 'a field glob must not be empty')
  if (!isWebsocket) return
  // The typed loader writes an empty method and path into every allow entry before it checks for them. An allow entry
  // with GraphQL fields can therefore never pass there. The deny side is not affected.
  const hasTransport = matcher.method !== '' || matcher.path !== '' || Object.keys(matcher.query).length > 0
  if (hasFields && (hasTransport || (mode === 'typed' && kind === 'allow'))) {
    report([], 'a websocket rule cannot mix method, path or query with GraphQL fields')
  }
  if (kind === 'allow' && matcher.method.toUpperCase() === 'WEBSOCKET_TEXT' && hasGraphql) {
    report(['method'], 'WEBSOCKET_TEXT would bypass the GraphQL rules of this endpoint')
  }
}

function checkOperationType({ matcher, report, ...site }: RuleSite): void {
  if (isOperation(matcher.operation_type, site)) return
  report([], `operation_type must be query, mutation or subscription, not "${matcher.operation_type}"`)
}

/** Whether the type is valid. Only the typed loader, and only for protocol graphql, insists on the exact words. */
function isOperation(type: string, { mode, endpoint }: EndpointSite): boolean {
  if (mode === 'typed' && endpoint.protocol === 'graphql') return OPERATIONS.includes(type)
  return [...OPERATIONS, '*'].includes(type.toLowerCase())
}

function checkPersistedQueries(site: EndpointSite): Finding[] {
  return Object.entries(site.endpoint.graphql_persisted_queries).flatMap(([key, operation]): Finding[] => {
    if (isOperation(operation.operation_type, site)) return []
    const message = `operation_type must be query, mutation or subscription, not "${operation.operation_type}"`
    return [{ severity: 'error', path: [...site.path, 'graphql_persisted_queries', key], message }]
  })
}
