// Reads a policy from text, with everything that is wrong with it.
import { isUtf8 } from 'node:buffer'
import { readFile } from 'node:fs/promises'
import { findAmbiguities } from './ambiguity.ts'
import { type Finding, type Path, PolicyDocument, type Problem } from './document.ts'
import { checkEndpoint } from './endpoint-checks.ts'
import type { PolicyMode } from './fields.ts'
import { PolicyError } from './policy-error.ts'
import { formatRelease, RELEASE_DEFAULT, type Release } from './release.ts'
import { checkRelease } from './release-checks.ts'
import { checkRules } from './rule-checks.ts'
import { type Policy, policySchema } from './schema.ts'
import { endpointSites } from './site.ts'
import { checkFilesystem, checkIdentity, checkMiddlewares, warnAboutStatics } from './static-checks.ts'

export interface ParsedPolicy {
  /** Absent when the loader would refuse the file, that is when any problem is an error. */
  policy?: Policy
  /** All problems, in the order of the file. */
  problems: Problem[]
}

/**
 * Parses a policy as OpenShell's loader would (openshell.md 1.0 to 1.4). `file` is only a name for the problems.
 * `mode` is `typed` by default: the gateway's strict loader.
 * `release` is the release of the loader; by default the release whose rules the rest of the runner follows.
 */
export function parsePolicy(
  text: string,
  options: { file: string; mode?: PolicyMode; release?: Release },
): ParsedPolicy {
  const mode = options.mode ?? 'typed'
  const document = new PolicyDocument(text, options.file)
  const tree = document.toTree()
  if (tree === undefined) return { problems: [...document.problems] }
  // The schema is used once: to compile it would take longer than to walk it.
  const read = policySchema(mode).safeParse(tree, { jitless: true })
  const findings = read.success
    ? checkPolicy(read.data, document, { mode, release: options.release ?? RELEASE_DEFAULT })
    : read.error.issues.flatMap((issue) => toFindings(issue))
  const problems = findings.map((finding) => document.locate(finding)).sort(byPlace)
  const isRefused = problems.some((problem) => problem.severity === 'error')
  return read.success && !isRefused ? { policy: read.data, problems } : { problems }
}

/** Reads a policy's text. OpenShell refuses a file that is not UTF-8. @throws {Error} for such a file, and the system's errors. */
export async function readPolicyText(file: string): Promise<string> {
  const bytes = await readFile(file)
  if (!isUtf8(bytes)) throw new Error('it is not UTF-8')
  return bytes.toString()
}

/**
 * Reads and parses `file` as the typed loader of the release does. Warnings are ignored.
 *
 * @throws {PolicyError} when the file cannot be read or OpenShell would refuse it.
 */
export async function loadPolicy(file: string, release: Release = RELEASE_DEFAULT): Promise<Policy> {
  const text = await readPolicyText(file).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error)
    throw new PolicyError(`cannot read the policy ${file}: ${reason}`, { cause: error })
  })
  const { policy, problems } = parsePolicy(text, { file, release })
  if (policy !== undefined) return policy
  const lines = problems.map(formatProblem).join('\n')
  throw new PolicyError(`OpenShell ${formatRelease(release)} would refuse the policy:\n${lines}`, {
    problems,
  })
}

/** Returns `FILE:LINE:COL: message`, as compilers print it. */
export function formatProblem(problem: Problem): string {
  const { file, line, column, severity, message } = problem
  return `${file}:${line}:${column}: ${severity === 'warning' ? 'warning: ' : ''}${message}`
}

function checkPolicy(
  policy: Policy,
  document: PolicyDocument,
  { mode, release }: { mode: PolicyMode; release: Release },
): Finding[] {
  const reading = { mode, release, has: (path: Path) => document.has(path) }
  const sites = endpointSites(policy, reading)
  return [
    ...(mode === 'typed' ? [...checkIdentity(policy), ...checkFilesystem(policy)] : []),
    ...warnAboutStatics(policy, release),
    ...checkMiddlewares(policy),
    ...sites.flatMap((site) => [...checkEndpoint(site), ...checkRules(site)]),
    ...checkRelease(policy, sites, reading),
    ...(mode === 'typed' ? findAmbiguities(sites) : []),
    ...warnAboutBinaries(policy),
  ]
}

function warnAboutBinaries(policy: Policy): Finding[] {
  return Object.entries(policy.network_policies).flatMap(([rule, { binaries }]): Finding[] =>
    binaries.length > 0
      ? []
      : [
          {
            severity: 'warning',
            path: ['network_policies', rule],
            at: 'key',
            message: 'no binaries: grants nobody',
          },
        ],
  )
}

interface Issue {
  code?: string | undefined
  path: PropertyKey[]
  keys?: string[]
  message: string
}

function toFindings(issue: Issue): Finding[] {
  const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)))
  if (issue.code === 'unrecognized_keys') {
    return (issue.keys ?? []).map((key) => ({
      severity: 'error',
      path: [...path, key],
      at: 'key',
      message: `unknown key "${key}" (${issue.message})`,
    }))
  }
  const name = path.at(-1)
  const subject = typeof name === 'string' ? `${name} ` : ''
  return [{ severity: 'error', path, message: `${subject}${issue.message}` }]
}

function byPlace(left: Problem, right: Problem): number {
  return left.line - right.line || left.column - right.column
}
