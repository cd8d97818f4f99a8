// Checks of identity, file paths and middlewares (openshell.md 1.2, 1.3).

import { GlobError } from '../match/glob.ts'
import { type HostPattern, parseHostPattern, selectorMayMatch } from '../match/host-pattern.ts'
import type { Finding, Path, Severity } from './document.ts'
import { looseWord, type Release } from './release.ts'
import type { Middleware, Policy } from './schema.ts'

const PATHS_MAX = 256
const PATH_BYTES_MAX = 4096
const UID_MAX = 4_294_967_294
const MIDDLEWARES_MAX = 10
const SELECTOR_PATTERNS_MAX = 32

function finding(path: Path, message: string, severity: Severity = 'error'): Finding {
  return { severity, path, message }
}

export function checkIdentity(policy: Policy): Finding[] {
  const findings: Finding[] = []
  for (const field of ['run_as_user', 'run_as_group'] as const) {
    const value = policy.process?.[field] ?? ''
    const isNumber = /^\+?\d+$/.test(value) && Number(value) >= 1 && Number(value) <= UID_MAX
    if (value === '' || value === 'sandbox' || isNumber) continue
    findings.push(
      finding(
        ['process', field],
        `${field} must be sandbox or a number from 1 to ${UID_MAX}, not "${value}"`,
      ),
    )
  }
  return findings
}

export function checkFilesystem(policy: Policy): Finding[] {
  const filesystem = policy.filesystem_policy
  if (filesystem === undefined) return []
  const findings: Finding[] = []
  const count = filesystem.read_only.length + filesystem.read_write.length
  if (count > PATHS_MAX) {
    findings.push(finding(['filesystem_policy'], `too many paths (${count}, at most ${PATHS_MAX})`))
  }
  for (const list of ['read_only', 'read_write'] as const) {
    for (const [index, path] of filesystem[list].entries()) {
      for (const message of pathMessages(path, list)) {
        findings.push(finding(['filesystem_policy', list, index], message))
      }
    }
  }
  return findings
}

function pathMessages(path: string, list: 'read_only' | 'read_write'): string[] {
  const messages: string[] = []
  const bytes = Buffer.byteLength(path)
  if (bytes > PATH_BYTES_MAX) messages.push(`path of ${bytes} bytes is too long (at most ${PATH_BYTES_MAX})`)
  else {
    if (!path.startsWith('/')) messages.push(`path must be absolute: "${path}"`)
    if (path.split('/').includes('..')) messages.push(`path must not contain "..": "${path}"`)
  }
  if (list === 'read_write' && /^\/*$/.test(path)) messages.push(`"${path}" as read_write is too broad`)
  return messages
}

/** Reports settings that load but do not do what they say. Since release 0.1.0 some of them are errors. */
export function warnAboutStatics(policy: Policy, release: Release): Finding[] {
  const findings: Finding[] = []
  if (policy.version !== 1) findings.push(looseWord(release, ['version'], 'the documented version is 1'))
  const compatibility = policy.landlock?.compatibility ?? ''
  if (!['', 'best_effort', 'hard_requirement'].includes(compatibility)) {
    const message = `"${compatibility}" means best_effort; only hard_requirement is strict`
    findings.push(looseWord(release, ['landlock', 'compatibility'], message))
  }
  const { read_only: readOnly = [], read_write: readWrite = [] } = policy.filesystem_policy ?? {}
  const places = new Map(readWrite.map((path, place) => [path.replace(/\/+$/, ''), place] as const).reverse())
  for (const [index, path] of readOnly.entries()) {
    const [first] = ancestorsOf(path)
      .flatMap((parent) => places.get(parent) ?? [])
      .sort((a, b) => a - b)
    if (first === undefined) continue
    const message = `has no effect: "${readWrite[first]}" is read_write and the rules are a union`
    findings.push(finding(['filesystem_policy', 'read_only', index], message, 'warning'))
  }
  return findings
}

/** Returns the path and every folder that it lies in, as far as a path may be long, without slashes at their ends. */
function ancestorsOf(path: string): string[] {
  const slashes = [...path.slice(0, PATH_BYTES_MAX).matchAll(/\//g)]
  return [...slashes.map(({ index }) => path.slice(0, index)), path]
}

export function checkMiddlewares(policy: Policy): Finding[] {
  const findings: Finding[] = []
  const entries = Object.entries(policy.network_middlewares).sort(([a], [b]) => (a < b ? -1 : 1))
  if (entries.length > MIDDLEWARES_MAX) {
    const message = `too many middlewares (${entries.length}, at most ${MIDDLEWARES_MAX})`
    findings.push(finding(['network_middlewares'], message))
  }
  const orders = new Map<number, string>()
  for (const [name, middleware] of entries) {
    const at: Path = ['network_middlewares', name]
    if (name === '') findings.push(finding(at, 'the name is empty'))
    const first = orders.get(middleware.order)
    orders.set(middleware.order, name)
    if (first !== undefined) {
      findings.push(finding([...at, 'order'], `"${first}" has the same order ${middleware.order}`))
    }
    if (middleware.middleware === '') findings.push(finding([...at, 'middleware'], 'must not be empty'))
    if (!['', 'fail_closed', 'fail_open'].includes(middleware.on_error)) {
      const message = `on_error must be fail_closed or fail_open, not "${middleware.on_error}"`
      findings.push(finding([...at, 'on_error'], message))
    }
    findings.push(...checkSelector(policy, at, middleware))
  }
  return findings
}

function checkSelector(policy: Policy, at: Path, middleware: Middleware): Finding[] {
  const selector = middleware.endpoints
  if (selector === undefined) return [finding(at, 'endpoints is required')]
  const findings: Finding[] = []
  if (selector.include.length === 0) {
    findings.push(finding([...at, 'endpoints'], 'include must name at least one host pattern'))
  }
  const count = selector.include.length + selector.exclude.length
  if (count > SELECTOR_PATTERNS_MAX) {
    const message = `too many host patterns (${count}, at most ${SELECTOR_PATTERNS_MAX})`
    return [...findings, finding([...at, 'endpoints'], message)]
  }
  const parse = (list: 'include' | 'exclude'): HostPattern[] =>
    selector[list].flatMap((pattern, index) => {
      try {
        return [parseHostPattern(pattern)]
      } catch (error) {
        if (!(error instanceof GlobError)) throw error
        findings.push(
          finding([...at, 'endpoints', list, index], `"${pattern}" is no host pattern: ${error.message}`),
        )
        return []
      }
    })
  const compiled = { include: parse('include'), exclude: parse('exclude') }
  if (findings.length > 0 || middleware.on_error === 'fail_open') return findings
  return uninspectable(policy).flatMap(({ rule, host, pattern }) =>
    selectorMayMatch(compiled, pattern)
      ? [finding([...at, 'endpoints'], `fails closed, but selects "${host}" of "${rule}", which skips TLS`)]
      : [],
  )
}

function uninspectable(policy: Policy): { rule: string; host: string; pattern: HostPattern }[] {
  return Object.entries(policy.network_policies).flatMap(([rule, { endpoints }]) =>
    endpoints
      .filter((endpoint) => endpoint.tls === 'skip')
      .flatMap(({ host }) => {
        try {
          return [{ rule, host, pattern: parseHostPattern(host) }]
        } catch (error) {
          // A host that no selector can match is no conflict. The check of the host reports it.
          if (error instanceof GlobError) return []
          throw error
        }
      }),
  )
}
