import { Runner, type RunRequest } from '@agui-runner/client'
import { toObject, toText } from './fields.ts'

/** From page-token.ts, in front of this module in the page: `fetch` with the token, which it asks for when it must. */
declare function fetchSignedIn(url: string, options?: RequestInit): Promise<Response>

/** A path before the runner's own is kept: a proxy may serve it under one. */
export const runner = new Runner({ url: new URL('.', location.href), fetch: fetchSignedIn })

/** Starts a run; its events come over the thread's own stream. */
export async function startRun(threadId: string, request: RunRequest): Promise<void> {
  const run = await runner.thread(threadId).run(request)
  run.leave()
}

export interface Readiness {
  isReady: boolean
  checks: { name: string; isOk: boolean; message: string }[]
}

/** 503 is an answer here, with the failing check. */
export async function readReadiness(signal: AbortSignal): Promise<Readiness> {
  const response = await fetchSignedIn('ready', { cache: 'no-store', signal })
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

/** The sandbox's own thread (SESSION_ID). */
export async function readOwnThread(): Promise<string | undefined> {
  return toText(toObject(await (await runner.request('health')).json())['session_id'])
}

/** `url` as an event names it, from the root of the runner; the token goes to nobody else. */
export async function fetchBlob(url: string): Promise<Blob> {
  if (!url.startsWith('/sessions/')) throw new TypeError(`${url} is no blob of this runner.`)
  return await (await runner.request(url.replace(/^\//, ''))).blob()
}
