import { toObject, toText } from '../model/fields.ts'
import type { Readiness } from '../model/readiness.ts'
import { fetchAny } from './api.ts'

/** Asks `/ready`. Its 503 is an answer too, with the failing check. */
export async function readReadiness(signal: AbortSignal): Promise<Readiness> {
  const response = await fetchAny('ready', { cache: 'no-store', signal })
  const body = toObject(await response.json())
  const checks = Array.isArray(body['checks']) ? body['checks'].map(toObject) : undefined
  if (checks === undefined) throw new Error(`/ready answered ${response.status} without its checks.`)
  return {
    isReady: body['ready'] === true,
    checks: checks.map(({ name, ok, message }) => ({
      name: toText(name) ?? '?',
      isOk: ok === true,
      message: toText(message) ?? '',
    })),
  }
}
