// A workspace under the enforcement of a policy, an agent that is a shell script, and the person whose workspace it is.
import { type ChildProcess, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { loadPolicy } from '../../src/policy/read/load.ts'
import { createEnforcement, type Enforcement } from '../../src/sandbox/enforcement.ts'

const ROOT = new URL('../../', import.meta.url).pathname

/** The environment of a git that reads no configuration but the repository's. */
export const GIT_ENV = {
  PATH: '/usr/bin:/bin',
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 't',
  GIT_AUTHOR_EMAIL: 't@t',
  GIT_COMMITTER_NAME: 't',
  GIT_COMMITTER_EMAIL: 't@t',
}

/** @param state the runner's state folder, which exists. */
export async function confine(
  workspace: string,
  state: string,
  onSetAside?: (paths: readonly string[]) => void,
): Promise<Enforcement> {
  return await createEnforcement({
    policy: await loadPolicy(`${ROOT}test/sandbox/escape-policy.yaml`),
    mode: 'required',
    env: {},
    places: {
      workspace,
      state,
      claudeState: join(state, 'claude'),
      wrappers: `${ROOT}wrappers`,
      claude: undefined,
      hidden: [state],
      frozen: [],
    },
    ...(onSetAside === undefined ? {} : { onSetAside }),
  })
}

/** Starts a script where Claude Code would be started. Its stdin is open. */
export async function startInside(
  enforcement: Enforcement,
  workspace: string,
  script: string,
): Promise<ChildProcess> {
  const { spawn } = await enforcement.prepare()
  const child = spawn({ command: '/bin/sh', args: ['-c', script], cwd: workspace, env: GIT_ENV })
  child.stderr?.resume()
  child.stdout?.resume()
  return child
}

export async function ended(child: ChildProcess): Promise<void> {
  child.stdin?.end()
  await once(child, 'close')
}

/** Runs a script outside, as the person does later. Returns what it prints. */
export function asPerson(script: string, cwd: string): string {
  return execFileSync('/bin/sh', ['-c', script], { cwd, env: GIT_ENV, encoding: 'utf8', stdio: 'pipe' })
}
