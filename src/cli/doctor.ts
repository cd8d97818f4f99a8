import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, isAbsolute, join } from 'node:path'
import { Command } from 'commander'
import { loadMcpConfig } from '../claude/launch/mcp-config.ts'
import { type Config, loadConfig } from '../config.ts'
import { RunnerError, toMessage } from '../errors.ts'
import type { ModelRoute } from '../model-route/route.ts'
import {
  attempt,
  type CheckFinding,
  checkClaudePath,
  checkClaudeStarts,
  checkFolder,
  checkHome,
  checkModel,
  PROBE_TIMEOUT_MS,
  sayEnforcement,
  sayMcpServers,
} from '../runner/checks.ts'
import type { Credentials } from '../runner/credentials.ts'
import type { EnforcementReport } from '../sandbox/report.ts'
import type { CliContext } from './context.ts'
import { credentialFileOption, withCredentialFile } from './credential-file.ts'
import { EXIT } from './exit.ts'
import { withoutSecrets } from './secrets.ts'

export function doctorCommand(context: CliContext): Command {
  return new Command('doctor')
    .description('Say what was detected here, and whether a run would work')
    .option('--json', 'print one JSON object')
    .addOption(credentialFileOption())
    .action(async (flags: { json?: boolean; credentialFile?: string }) => {
      const { credentialFile } = flags
      const env = withCredentialFile(context.env, credentialFile)
      const findings = await examine({ ...context, env, credentialFile })
      const ok = findings.every((finding) => finding.ok)
      const text = flags.json === true ? JSON.stringify({ ok, findings }) : toText(findings, ok)
      // No finding has a secret by design, but an address or another program's output might contain one.
      process.stdout.write(`${await withoutSecrets(text, env)}\n`)
      process.exitCode = ok ? EXIT.ok : EXIT.internal
    })
}

interface DoctorContext extends CliContext {
  credentialFile: string | undefined
}

async function examine(context: DoctorContext): Promise<CheckFinding[]> {
  let config: Config
  try {
    config = loadConfig(context.env, context)
  } catch (error) {
    return [{ name: 'configuration', ok: false, says: toMessage(error) }]
  }
  const { stateDirectory, workspace } = config
  const [{ credentials, findings: routed }, claude, policy, writable] = await Promise.all([
    findRoute(config, context),
    findClaudeCode(config, context),
    findPolicy(config),
    Promise.all([
      attempt('home', () => checkHome(context.env, config.claudeState)),
      attempt('state', () => checkFolder(stateDirectory)),
      attempt('workspace', () => checkFolder(workspace)),
      // A log folder that cannot be written only costs the copy of the log, so the finding is no failure.
      attempt('log', () => checkFolder(dirname(config.logFile))).then((finding) => ({
        ...finding,
        ok: true,
      })),
    ]),
  ])
  const { report, finding } = await tryEnforcement(config, context, credentials?.modelUrl)
  const mode = await findMode(config, context, report)
  const mcp = await findMcpServers(config)
  const held = await findCredentials(credentials, report)
  return [
    ...routed,
    ...held,
    ...claude,
    policy,
    finding,
    mode,
    ...mcp,
    ...writable,
    ...(await findSetup(config, context)),
  ]
}

async function findMcpServers({ mcpConfigFile }: Config): Promise<CheckFinding[]> {
  if (mcpConfigFile === undefined) return []
  return [await attempt('mcp servers', async () => sayMcpServers(await loadMcpConfig(mcpConfigFile)))]
}

async function findRoute(
  config: Config,
  { env, credentialFile }: DoctorContext,
): Promise<{
  credentials: Credentials | undefined
  findings: CheckFinding[]
}> {
  const { wrappersDirectory } = config
  const { detectRoute } = await import('../model-route/route.ts')
  const signal = AbortSignal.timeout(2 * PROBE_TIMEOUT_MS)
  let route: ModelRoute | undefined
  const detected = await attempt('model route', async () => {
    route = await detectRoute({ env, wrappersDirectory, signal })
    const { kind, reason, baseUrl, proxyUrl, noProxy, caFile, caBundle, credential } = route
    const words = [
      `${kind} (${reason})`,
      baseUrl,
      proxyUrl === null ? null : `proxy ${proxyUrl}`,
      caFile === null ? null : `CA ${caFile}`,
      credential === null ? null : `credential ${credential}`,
    ]
    const facts = { kind, reason, baseUrl, proxyUrl, noProxy, caFile, caBundle, credential }
    return { says: words.filter((word) => word !== null).join(', '), facts }
  })
  if (route === undefined) return { credentials: undefined, findings: [detected] }
  const found = route
  const { openCredentials } = await import('../runner/credentials.ts')
  const credentials = await openCredentials({ config, env, credentialFile }, found)
  const answered = await attempt('model answers', () => checkModel(found, signal, credentials.through))
  return { credentials, findings: [detected, answered] }
}

/** Describes who can read the credentials, which depends on the confinement of the agent. */
async function findCredentials(
  credentials: Credentials | undefined,
  report: EnforcementReport | undefined,
): Promise<CheckFinding[]> {
  await credentials?.close()
  if (credentials === undefined || report === undefined) return []
  return [await attempt('credentials', () => credentials.describe(report))]
}

async function findClaudeCode(config: Config, { env }: CliContext): Promise<CheckFinding[]> {
  const { wrappersDirectory } = config
  const { wrapperPath } = await import('../model-route/route.ts')
  const { childEnvironment } = await import('../model-route/environment.ts')
  const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS)
  const wrapper = wrapperPath(env, wrappersDirectory)
  const found = await attempt('claude code', async () => {
    const { says, facts } = await checkClaudePath({ env, wrappersDirectory }, signal)
    return { says, facts: { ...facts, wrapper } }
  })
  if (!found.ok) return [found]
  const directory = await mkdtemp(join(tmpdir(), 'agui-runner-doctor-'))
  const child = childEnvironment(
    // Claude Code writes to this folder even to print its version.
    { ...env, CLAUDE_CONFIG_DIR: directory },
    // It needs no key for that.
    {
      routeKind: 'none',
      retriesMax: 0,
      apiTimeoutMs: PROBE_TIMEOUT_MS,
      streamHoldMs: 0,
      isSandboxed: false,
      alsoPass: [],
    },
  )
  const { ClaudeBinary } = await import('../claude/process/binary.ts')
  const place = { executable: wrapper, env: child, cwd: directory, mark: `doctor:${process.pid}` }
  const binary = new ClaudeBinary({ ...place, startTimeoutMs: config.limits.claudeStartTimeoutMs })
  const starts = await attempt('claude code starts', () => checkClaudeStarts(binary))
  await rm(directory, { recursive: true, force: true })
  return [found, starts]
}

async function findPolicy({ policyFile, policyEnforcement }: Config): Promise<CheckFinding> {
  const { formatProblem, parsePolicy, readPolicyText } = await import('../policy/read/load.ts')
  const found = await attempt('policy', async () => {
    const { policy, problems } = parsePolicy(await readPolicyText(policyFile), { file: policyFile })
    const isError = ({ severity }: { severity: string }): boolean => severity === 'error'
    if (policy === undefined) {
      const lines = problems.filter(isError).map(formatProblem)
      throw new RunnerError('policy_invalid', `OpenShell would refuse it:\n${lines.join('\n')}`)
    }
    const warnings = problems.length === 0 ? '' : `, ${problems.length} warnings (agui-runner policy check)`
    return { says: `${policyFile}: valid${warnings}`, facts: { file: policyFile, warnings: problems.length } }
  })
  // With enforcement off the policy is not read.
  return policyEnforcement === 'off' ? { ...found, ok: true } : found
}

/** Starts the enforcement on temporary folders, because a runner may be using the real ones. */
async function tryEnforcement(
  config: Config,
  { env }: CliContext,
  modelUrl: string | undefined,
): Promise<{ report: EnforcementReport | undefined; finding: CheckFinding }> {
  const { wrappersDirectory } = config
  const { startEnforcement } = await import('../sandbox/start.ts')
  const { findClaude } = await import('../model-route/route.ts')
  const directory = await mkdtemp(join(tmpdir(), 'agui-runner-doctor-'))
  let report: EnforcementReport | undefined
  const finding = await attempt('enforcement', async () => {
    const place = (name: string): string => join(directory, name)
    await Promise.all(['workspace', 'state', 'claude'].map((name) => mkdir(place(name))))
    const enforcement = await startEnforcement({
      ...config,
      mode: config.policyEnforcement,
      env,
      workspace: place('workspace'),
      stateDirectory: place('state'),
      claudeState: place('claude'),
      modelUrl,
      findClaude: () => findClaude({ env, wrappersDirectory, signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) }),
      logger: { info() {}, warn() {} },
    })
    await enforcement.close()
    report = enforcement.report
    return sayEnforcement(report)
  })
  await rm(directory, { recursive: true, force: true })
  return { report, finding }
}

function findMode(
  { permissionMode }: Config,
  { env }: CliContext,
  report: EnforcementReport | undefined,
): Promise<CheckFinding> {
  return attempt('permission mode', async () => {
    const { decidePermissionMode } = await import('../claude/launch/permission-mode.ts')
    const { isConfining } = await import('../sandbox/report.ts')
    const isEnforced = report !== undefined && isConfining(report)
    const mode = decidePermissionMode(permissionMode, { env, isMock: false, isEnforced })
    return { says: `${mode} (PERMISSION_MODE=${permissionMode})`, facts: { mode, asked: permissionMode } }
  })
}

/** Reports the repositories, workflow and session folder that are named. Nothing is fetched; a run works without them. */
async function findSetup(config: Config, { env }: CliContext): Promise<CheckFinding[]> {
  const { repositories, workflow, sessionConfigPath } = config
  const wanted = [
    ...(repositories.length === 0 ? [] : [`REPOS_JSON names ${repositories.length}`]),
    ...(workflow === undefined ? [] : ['ACTIVE_WORKFLOW_GIT_URL names a workflow']),
  ]
  const findings: CheckFinding[] = []
  if (wanted.length > 0) {
    const git = await attempt('git', async () => ({ says: await gitVersion(env['PATH']) }))
    findings.push({ name: 'workspace setup', ok: true, says: [...wanted, git.says].join('\n') })
  }
  if (sessionConfigPath !== undefined) {
    const folder = await stat(sessionConfigPath).catch(() => undefined)
    const isUsed = isAbsolute(sessionConfigPath) && folder?.isDirectory() === true
    const says = `${sessionConfigPath}${isUsed ? '' : ': not used, it is not the absolute path of a folder'}`
    findings.push({ name: 'session configuration', ok: true, says })
  }
  return findings
}

function gitVersion(path: string | undefined): Promise<string> {
  const options = { env: { PATH: path }, timeout: PROBE_TIMEOUT_MS } as const
  return new Promise((resolve, reject) => {
    execFile('git', ['--version'], options, (error, stdout) => {
      if (error === null) resolve(stdout.trim())
      else reject(new RunnerError('git_failed', `git cannot be started: ${toMessage(error)}`))
    })
  })
}

function toText(findings: readonly CheckFinding[], ok: boolean): string {
  const width = Math.max(...findings.map(({ name }) => name.length))
  const lines = findings.map(({ name, ok: isGood, says }) => {
    const indented = says.split('\n').join(`\n${' '.repeat(width + 7)}`)
    return `${isGood ? 'ok  ' : 'FAIL'} ${name.padEnd(width)}  ${indented}`
  })
  return [...lines, '', ok ? 'A run would work.' : 'A run could not work.'].join('\n')
}
