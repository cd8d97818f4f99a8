// File access as Landlock ABI 2 will judge it (openshell.md 5.3). Listed paths are a union: nothing below a
// read_write path is protected.

import type { Policy } from '../read/schema.ts'
import type { Decision, FileRequest } from './decision.ts'

/** Paths that the supervisor adds when there are network rules, unless the policy lists the path itself. */
const BASELINE_READ_ONLY = ['/usr', '/lib', '/etc', '/app', '/var/log', '/proc', '/dev/urandom']
const BASELINE_READ_WRITE = ['/tmp']

/** The granted paths, as they are written. When a path is in both lists, `readWrite` wins. */
interface Grants {
  readOnly: readonly string[]
  readWrite: readonly string[]
}

/**
 * Decides whether the sandbox's file rules let the operation pass. Ownership and modes may still refuse it. A policy
 * whose sandbox refuses to start (`missing`, `symlinks`) denies everything.
 */
export function decideFile(policy: Policy, request: FileRequest): Decision {
  const grants = effectiveGrants(policy, request.workdir)
  const startProblem = findStartProblem(policy, grants, request)
  if (startProblem !== undefined) {
    return { verdict: 'deny', stage: 'file', reason: `the sandbox refuses to start: ${startProblem}` }
  }
  if (request.op === 'stat')
    return { verdict: 'allow', stage: 'file', reason: 'Landlock does not control stat' }
  const path = canonical(request.realpath ?? request.path)
  if (path === undefined) return { verdict: 'deny', stage: 'file', reason: 'the path is not absolute' }
  if (grants.readOnly.length + grants.readWrite.length === 0) {
    return { verdict: 'allow', stage: 'file', reason: 'nothing is listed: no file rules are applied at all' }
  }
  const exists = (listed: string): boolean => !(request.missing ?? []).includes(listed)
  const covering = (list: readonly string[]): string | undefined =>
    list.find((listed) => exists(listed) && isBelow(path, listed))
  const writable = covering(grants.readWrite)
  const rule = writable ?? (request.op === 'write' ? undefined : covering(grants.readOnly))
  if (rule === undefined) {
    const readable = covering(grants.readOnly)
    const reason = readable === undefined ? `${path} is not listed` : `${path} is read-only`
    return { verdict: 'deny', stage: 'file', ...(readable === undefined ? {} : { rule: readable }), reason }
  }
  const list = writable === undefined ? 'read_only' : 'read_write'
  return { verdict: 'allow', stage: 'file', rule, reason: `${path} is below ${rule} (${list})` }
}

/** Returns the read_only and read_write paths in force: listed, workdir, baseline. */
export function effectiveGrants(policy: Policy, workdir: string | undefined): Grants {
  const {
    include_workdir: hasWorkdir = true,
    read_only: listedRo = [],
    read_write: listedRw = [],
  } = policy.filesystem_policy ?? {}
  const readOnly = [...listedRo]
  const readWrite = [...listedRw]
  if (Object.keys(policy.network_policies).length > 0) {
    const isListed = (path: string): boolean => readOnly.includes(path) || readWrite.includes(path)
    readOnly.push(...BASELINE_READ_ONLY.filter((path) => !isListed(path)))
    readWrite.push(...BASELINE_READ_WRITE.filter((path) => !isListed(path)))
  }
  if (hasWorkdir && workdir !== undefined && !readWrite.includes(workdir)) readWrite.push(workdir)
  return { readOnly, readWrite }
}

function findStartProblem(policy: Policy, grants: Grants, request: FileRequest): string | undefined {
  const link = grants.readWrite.find((path) => request.symlinks?.includes(path))
  if (link !== undefined) return `read_write path ${link} is a symbolic link`
  if (policy.landlock?.compatibility !== 'hard_requirement') return undefined
  // A missing read_write directory is created; baseline paths are added only where they exist.
  const absent = policy.filesystem_policy?.read_only.find((path) => request.missing?.includes(path))
  return absent === undefined ? undefined : `${absent} does not exist and hard_requirement is set`
}

/** Returns a path without `.`, `..`, doubled or trailing slashes; undefined unless it is absolute. */
function canonical(path: string): string | undefined {
  if (!path.startsWith('/')) return undefined
  const segments: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop()
    else if (segment !== '' && segment !== '.') segments.push(segment)
  }
  return `/${segments.join('/')}`
}

function isBelow(path: string, listed: string): boolean {
  const root = canonical(listed)
  if (root === undefined) return false
  return root === '/' || path === root || path.startsWith(`${root}/`)
}
