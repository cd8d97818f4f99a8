import type { Env } from '../config.ts'

/** Redacts the environment's secrets in a text for the terminal. The redactor is loaded with the first text. */
export async function withoutSecrets(text: string, env: Env): Promise<string> {
  const { createRedactor } = await import('../redaction/redactor.ts')
  const { readKnownSecrets } = await import('../redaction/known-secrets.ts')
  return createRedactor({ values: readKnownSecrets(env) }).redactText(text)
}
