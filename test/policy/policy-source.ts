import type { PolicyMode } from '../../src/policy/read/fields.ts'
import { parsePolicy } from '../../src/policy/read/load.ts'
import type { Policy } from '../../src/policy/read/schema.ts'

/** A policy from YAML text, or from the value it stands for. Throws with the problems when it is refused. */
export function policyOf(source: unknown, mode: PolicyMode = 'typed'): Policy {
  const text = typeof source === 'string' ? source : JSON.stringify(source)
  const { policy, problems } = parsePolicy(text, { file: 'test', mode })
  if (policy === undefined) throw new Error(problems.map((problem) => problem.message).join('\n'))
  return policy
}
