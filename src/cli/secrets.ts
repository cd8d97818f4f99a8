import type { Env } from '../config.ts'

/** A text for the terminal; the redactor is loaded when there is one. */
export async function withoutSecrets(text: string, env: Env): Promise<string> {
  const { createRedactor } = await import('../redaction/redactor.ts')
  const { readKnownSecrets } = await import('../redaction/known-secrets.ts')
  return createRedactor({ values: readKnownSecrets(env) }).redactText(text)
}
