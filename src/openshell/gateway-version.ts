import { RunnerError } from '../errors.ts'
import type { Gateway } from './gateway.ts'

/** The first with workspaces, SetInferenceRoute and short names; before it the same calls have other fields. */
const FIRST = [0, 0, 88] as const

/** @throws {RunnerError} `sandbox_failed` for a gateway that this launcher does not know how to talk to. */
export async function checkVersion(gateway: Gateway, signal: AbortSignal): Promise<void> {
  const { version } = await gateway.call('Health', {}, signal)
  if (isKnown(version)) return
  const message = `The gateway is OpenShell ${version}; this launcher needs ${FIRST.join('.')} or newer.`
  throw new RunnerError('sandbox_failed', message)
}

/** One that was built by hand may say 0.0.0, or nothing. */
export function isKnown(version: string): boolean {
  const parts = /^v?(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number)
  if (parts === undefined || parts.every((part) => part === 0)) return true
  const at = FIRST.findIndex((part, index) => part !== parts[index])
  return at === -1 || (parts[at] ?? 0) > (FIRST[at] ?? 0)
}
