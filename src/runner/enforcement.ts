import type { Check } from '../http/routes/health.ts'
import type { Enforcement } from '../sandbox/enforcement.ts'
import { gapsOf } from '../sandbox/report.ts'
import type { Logger } from '../telemetry/logger.ts'

/** When a run ends: what was made inside for git to run outside goes out of its way. */
export function settle(enforcement: Enforcement, logger: Logger): void {
  const renamed = enforcement.settle()
  if (renamed.length > 0) logger.warn({ renamed }, 'repositories made inside others were set aside')
}

/** `required` did not let the runner start; what fails here is a process that could not be started behind the policy. */
export function enforcementCheck({ report, problem }: Enforcement, redact: (text: string) => string): Check {
  const name = 'policy_enforcement'
  if (problem !== undefined) {
    const message = `Claude Code could not be started under the policy: ${problem}. The next process that starts clears this.`
    return { name, ok: false, message: redact(message) }
  }
  const gaps = gapsOf(report)
  const what = gaps.length === 0 ? `enforced by ${report.backend}` : `not enforced: ${gaps.join('; ')}`
  return { name, ok: true, message: what }
}
