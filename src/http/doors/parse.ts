import type { z } from 'zod'
import { parseNulls } from '../../absent-null.ts'
import { RunnerError } from '../../errors.ts'

/**
 * Parses a value of a request with `schema`. A null counts as absent where the schema does not require a value.
 *
 * @param where for the message: "the body", "the query", …
 * @throws {RunnerError} `invalid_input`, naming every wrong field.
 */
export function parse<T extends z.ZodType>(schema: T, value: unknown, where: string): z.output<T> {
  const result = parseNulls(schema, value)
  if (result.success) return result.data
  const problems = result.error.issues.map(
    (issue) => `${issue.path.map(String).join('.') || where}: ${issue.message}`,
  )
  throw new RunnerError('invalid_input', `In ${where}: ${problems.join('; ')}.`, { details: problems })
}
