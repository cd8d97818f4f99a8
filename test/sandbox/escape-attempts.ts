// What a tool call might try. Each script is Python behind `from lib import *` and prints REACHED when it got there.
import { FILES, SETTINGS } from './escape-files.ts'
import { NAMESPACES, PROCESSES } from './escape-kernel.ts'
import { BINARIES, MUST_WORK, REQUESTS } from './escape-requests.ts'
import { PROXY, SOCKETS } from './escape-sockets.ts'

export interface Attempt {
  /** Area letter and number; a test's title. */
  id: string
  what: string
  script: string
  /** What the sandbox has against it. */
  by: Block
  /** `allowed`: the policy itself (or OpenShell's rules) lets it pass, and that is what we expect. */
  expect?: 'blocked' | 'allowed'
  /** Left out of the run without a sandbox: it would mean nothing there, or leave this machine. */
  hasNoControl?: true
}

type Block =
  | 'mount view'
  | 'read-only mount'
  | 'file modes'
  | 'PID namespace'
  | 'IPC namespace'
  | 'network namespace'
  | 'no capabilities'
  | 'seccomp'
  | 'no_new_privs'
  | 'environment'
  | 'proxy: hosts'
  | 'proxy: addresses'
  | 'proxy: syntax'
  | 'proxy: requests'
  | 'proxy: binaries'
  | 'policy'

export type Row = [id: string, what: string, by: Block, script: string, flag?: 'allowed' | 'no-control']

const toAttempt = ([id, what, by, script, flag]: Row): Attempt => ({
  ...{ id, what, by, script },
  ...(flag === 'allowed' ? { expect: 'allowed' as const } : {}),
  ...(flag === 'no-control' ? { hasNoControl: true as const } : {}),
})

export const ATTEMPTS: readonly Attempt[] = [
  ...FILES,
  ...SETTINGS,
  ...PROCESSES,
  ...NAMESPACES,
  ...SOCKETS,
  ...PROXY,
  ...REQUESTS,
  ...BINARIES,
].map(toAttempt)

export const CONTROLS: readonly Attempt[] = MUST_WORK.map(toAttempt)
