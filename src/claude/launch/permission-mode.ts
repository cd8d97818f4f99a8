import { RunnerError } from '../../errors.ts'
import type { PermissionMode } from './sdk-options.ts'

export interface PermissionFacts {
  env: Readonly<Record<string, string | undefined>>
  isMock: boolean
  /** Whether this machine itself holds Claude Code to the policy's writable paths and hosts. */
  isEnforced: boolean
}

/**
 * Returns the permission mode that `PERMISSION_MODE` means here (contract section 3). `never-ask` is possible only
 * where something other than Claude Code itself holds the tools to the policy, or where the model gateway is the mock.
 *
 * @throws {RunnerError} `policy_not_enforced` when `never-ask` is requested elsewhere.
 */
export function decidePermissionMode(
  wanted: 'auto' | 'ask' | 'accept-edits' | 'never-ask',
  { env, isMock, isEnforced }: PermissionFacts,
): PermissionMode {
  const isSandbox = env['OPENSHELL_SANDBOX'] === '1' || (env['AGUI_LAUNCH'] ?? '') !== ''
  const isConfined = isMock || isEnforced || isSandbox
  if (wanted === 'auto') return isConfined ? 'never-ask' : 'ask'
  if (wanted !== 'never-ask' || isConfined) return wanted
  throw new RunnerError(
    'policy_not_enforced',
    'PERMISSION_MODE=never-ask needs OpenShell, a container of `agui-runner launch`, local enforcement or the mock gateway: here nothing holds the tools to the policy. Use auto, ask or accept-edits, or see POLICY_ENFORCEMENT.',
  )
}
