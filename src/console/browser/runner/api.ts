import { Runner, type RunRequest } from '@agui-runner/client'
import { toObject, toText } from '../model/fields.ts'

/** From page-token.ts, in front of this module in the page: `fetch` with the token, which it asks for when it must. */
declare function fetchSignedIn(url: string, options?: RequestInit): Promise<Response>

/** A path before the runner's own is kept: a proxy may serve it under one. */
export const runner = new Runner({ url: new URL('.', location.href), fetch: fetchSignedIn })

/** Any answer, whatever its status. */
export async function fetchAny(path: string, options: RequestInit): Promise<Response> {
  return await fetchSignedIn(path, options)
}

/** Starts a run; its events come over the thread's own stream. */
export async function startRun(threadId: string, request: RunRequest): Promise<void> {
  const run = await runner.thread(threadId).run(request)
  run.leave()
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
