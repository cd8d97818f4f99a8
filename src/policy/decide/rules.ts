// The L7 part of OpenShell's Rego, endpoint by endpoint (openshell.md 1.6). Protocol names are case-sensitive, as
// there: `protocol: MCP` does not get MCP's rules. The checks in rule-checks.ts do the same.

import { compileGlob } from '../match/glob.ts'
import { allowsAllMcpMethods } from '../read/endpoint.ts'
import type { GlobList } from '../read/fields.ts'
import type { Endpoint, RuleMatcher } from '../read/schema.ts'
import type { GraphqlOperation, GraphqlRequest, JsonRpcRequest } from '../request/body.ts'
import type { EgressRequest } from './decision.ts'

/** A rule that admits the connection, with those of its endpoints that match host and port. */
export interface MatchedRule {
  name: string
  endpoints: readonly Endpoint[]
}

export interface CanonicalRequest extends EgressRequest {
  method: string
  /** The canonical path, without the query. */
  path: string
  query: ReadonlyMap<string, readonly string[]>
}

/** Whether an allow rule of this endpoint covers the request. Throws GlobError for a malformed glob. */
export function permits(endpoint: Endpoint, request: CanonicalRequest): boolean {
  if (!pathCovers(endpoint, request)) return false
  const rules = effectiveRules(endpoint)
  const byRule = isJsonRpcFamily(endpoint)
    ? request.method === 'POST' &&
      request.jsonRpc?.hasResponse !== true &&
      some(rules, (rule) => jsonRpcRuleMatches(endpoint, rule, request.jsonRpc))
    : some(rules, (rule) => httpRuleMatches(rule, request) && queryAllows(rule, request))
  const byOperation = graphqlPermits(endpoint, request.graphql)
  return byRule || byOperation || mcpPermits(endpoint, request)
}

/** Whether a deny rule of this endpoint, or its protocol itself, blocks the request. Throws GlobError. */
export function denies(endpoint: Endpoint, request: CanonicalRequest): boolean {
  if (!pathCovers(endpoint, request)) return false
  const rules = endpoint.deny_rules.map((rule) => normalised(endpoint, rule))
  const byRule = isJsonRpcFamily(endpoint)
    ? request.method === 'POST' && some(rules, (rule) => jsonRpcRuleMatches(endpoint, rule, request.jsonRpc))
    : some(rules, (rule) => httpRuleMatches(rule, request) && queryDenies(rule, request))
  const isResponse = endpoint.protocol === 'json-rpc' && request.jsonRpc?.hasResponse === true
  const operations = request.graphql?.operations ?? []
  const byOperation = some(
    rules.filter((rule) => rule.operation_type !== ''),
    (rule) => some(operations, (operation) => operationMatches(endpoint, rule, operation, 'deny')),
  )
  // On these endpoints, only their GraphQL rules may permit a GraphQL operation.
  const judgesGraphql = endpoint.protocol === 'graphql' || endpoint.protocol === 'websocket'
  const isUnpermitted =
    judgesGraphql && request.graphql !== undefined && !graphqlPermits(endpoint, request.graphql)
  return byRule || byOperation || isUnpermitted || (isResponse && request.method === 'POST')
}

/** Like `Array.some`, but without a short cut: an error in any element counts. */
function some<T>(items: readonly T[], predicate: (item: T) => boolean): boolean {
  return items.map(predicate).includes(true)
}

function pathCovers(endpoint: Endpoint, request: CanonicalRequest): boolean {
  return endpoint.path === '' || pathMatches(endpoint.path, request.path)
}

function pathMatches(pattern: string, path: string): boolean {
  return pattern === '**' || compileGlob(pattern, '/').matches(path)
}

const EMPTY_RULE: RuleMatcher = {
  method: '',
  path: '',
  command: '',
  query: {},
  operation_type: '',
  operation_name: '',
  fields: [],
  tool: undefined,
  params: {},
}

const http = (methods: readonly string[]): RuleMatcher[] =>
  methods.map((method) => ({ ...EMPTY_RULE, method, path: '**' }))
const graphql = (types: readonly string[]): RuleMatcher[] =>
  types.map((type) => ({ ...EMPTY_RULE, operation_type: type }))

const READ = ['GET', 'HEAD', 'OPTIONS']
const HTTP_PRESETS: Record<string, RuleMatcher[]> = {
  'read-only': http(READ),
  'read-write': http([...READ, 'POST', 'PUT', 'PATCH']),
  full: http(['*']),
}
const PRESETS: Record<string, Record<string, RuleMatcher[]>> = {
  graphql: {
    'read-only': graphql(['query']),
    'read-write': graphql(['query', 'mutation']),
    full: graphql(['*']),
  },
  websocket: { 'read-only': http(['GET']), 'read-write': http(['GET', 'WEBSOCKET_TEXT']), full: http(['*']) },
}

function effectiveRules(endpoint: Endpoint): RuleMatcher[] {
  const { access, protocol, rules } = endpoint
  if (rules.length > 0) return rules.map(({ allow }) => normalised(endpoint, allow))
  if (access !== '') return (PRESETS[protocol] ?? HTTP_PRESETS)[access] ?? []
  return protocol === 'mcp' && allowsAllMcpMethods(endpoint) ? [{ ...EMPTY_RULE, method: '*' }] : []
}

/** Normalizes an MCP rule: `tool` becomes params.name, and an absent method follows from it. */
function normalised(endpoint: Endpoint, rule: RuleMatcher): RuleMatcher {
  if (endpoint.protocol !== 'mcp') return rule
  const name = rule.params['name'] ?? rule.tool
  const implied = name === undefined ? '*' : 'tools/call'
  return {
    ...rule,
    method: rule.method === '' && allowsAllMcpMethods(endpoint) ? implied : rule.method,
    params: name === undefined ? rule.params : { ...rule.params, name },
  }
}

function httpRuleMatches(rule: RuleMatcher, request: CanonicalRequest): boolean {
  return methodMatches(rule.method, request.method) && pathMatches(rule.path, request.path)
}

/** Whether the methods match. GET covers HEAD; OPTIONS is never implied. */
function methodMatches(expected: string, actual: string): boolean {
  const [want, have] = [expected.toUpperCase(), actual.toUpperCase()]
  return want === '*' || (want !== '' && want === have) || (want === 'GET' && have === 'HEAD')
}

/** Whether every value of every configured key matches, and no key is missing. */
function queryAllows({ query }: RuleMatcher, request: CanonicalRequest): boolean {
  return !some(Object.entries(query), ([key, globs]) => {
    const values = request.query.get(key)
    return values === undefined || some(values, (value) => !globsMatch(globs, value))
  })
}

/** Whether each configured key has a matching value. When a key is missing, the rule does not apply. */
function queryDenies({ query }: RuleMatcher, request: CanonicalRequest): boolean {
  return !some(Object.entries(query), ([key, globs]) => {
    const values = request.query.get(key) ?? []
    return !some(values, (value) => globsMatch(globs, value))
  })
}

function globsMatch(globs: GlobList, value: string): boolean {
  return some(globs, (glob) => compileGlob(glob, '.').matches(value))
}

function isJsonRpcFamily(endpoint: Endpoint): boolean {
  return endpoint.protocol === 'json-rpc' || endpoint.protocol === 'mcp'
}

function jsonRpcRuleMatches(
  endpoint: Endpoint,
  rule: RuleMatcher,
  info: JsonRpcRequest | undefined,
): boolean {
  const call = info?.isBatch === true ? undefined : info?.calls[0]
  if (call === undefined || call.method === '' || rule.method === '') return false
  if (endpoint.protocol === 'json-rpc') return rule.method === '*' || rule.method === call.method
  if (!compileGlob(rule.method, '.').matches(call.method)) return false
  return !some(Object.entries(rule.params), ([key, globs]) => {
    const value = key === 'name' ? call.tool : undefined
    return value === undefined || !globsMatch(globs, value)
  })
}

/** Whether MCP grants the request beyond rules: known methods, responses to the server, the receive stream. */
function mcpPermits(endpoint: Endpoint, { method, jsonRpc }: CanonicalRequest): boolean {
  if (endpoint.protocol !== 'mcp' || jsonRpc === undefined || jsonRpc.error !== undefined) return false
  if (method === 'GET') {
    return jsonRpc.isReceiveStream === true && jsonRpc.calls.length === 0 && jsonRpc.hasResponse !== true
  }
  if (method !== 'POST') return false
  if (jsonRpc.hasResponse === true) return true
  const call = jsonRpc.isBatch === true ? undefined : jsonRpc.calls[0]
  if (!allowsAllMcpMethods(endpoint) || call === undefined || call.method === '') return false
  const narrowsTools = endpoint.rules.some(
    ({ allow }) => normalised(endpoint, allow).params['name'] !== undefined,
  )
  return call.method !== 'tools/call' || !narrowsTools
}

function graphqlPermits(endpoint: Endpoint, request: GraphqlRequest | undefined): boolean {
  if (request === undefined || request.operations.length === 0 || request.error !== undefined) return false
  const rules = effectiveRules(endpoint).filter((rule) => rule.operation_type !== '')
  return !some(
    request.operations,
    (operation) =>
      !isRegisteredIfNeeded(endpoint, operation) ||
      !some(rules, (rule) => operationMatches(endpoint, rule, operation, 'allow')),
  )
}

const needsRegistry = (operation: GraphqlOperation): boolean =>
  operation.persisted !== undefined && operation.type === ''

function registered(endpoint: Endpoint, { persisted }: GraphqlOperation): GraphqlOperation | undefined {
  const entry = endpoint.graphql_persisted_queries[persisted?.hash || persisted?.id || '']
  if (entry === undefined) return undefined
  return { type: entry.operation_type, name: entry.operation_name, fields: entry.fields }
}

function isRegisteredIfNeeded(endpoint: Endpoint, operation: GraphqlOperation): boolean {
  if (!needsRegistry(operation)) return true
  return endpoint.persisted_queries === 'allow_registered' && registered(endpoint, operation) !== undefined
}

/** Whether a rule matches an operation. To allow, its fields must cover every root field; to deny, one is enough. */
function operationMatches(
  endpoint: Endpoint,
  rule: RuleMatcher,
  operation: GraphqlOperation,
  side: 'allow' | 'deny',
): boolean {
  const effective = needsRegistry(operation) ? registered(endpoint, operation) : operation
  if (effective === undefined) return false
  const type = rule.operation_type.toLowerCase()
  if (type !== '*' && type !== effective.type.toLowerCase()) return false
  if (rule.operation_name !== '' && !globsMatch([rule.operation_name], effective.name ?? '')) return false
  if (rule.fields.length === 0) return true
  const fields = effective.fields ?? []
  const isCovered = (field: string): boolean => globsMatch(rule.fields, field)
  if (side === 'deny') return some(fields, isCovered)
  return fields.length > 0 && !some(fields, (field) => !isCovered(field))
}
