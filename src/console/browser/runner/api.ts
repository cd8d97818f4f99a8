import { Runner, type RunRequest } from '@agui-runner/client'
import { toObject, toText } from '../model/fields.ts'

/** `fetch` with the token, which it asks the person for when it must. page-token.ts puts it into the page. */
declare function fetchSignedIn(url: string, options?: RequestInit): Promise<Response>

/** The runner of this page. The path of the page is kept, since a proxy may serve the runner below one. */
export const runner = new Runner({ url: new URL('.', location.href), fetch: fetchAny })

/** Returns the answer, whatever its status. @throws {Error} with words for a person when there is none. */
export async function fetchAny(path: string, options: RequestInit): Promise<Response> {
  try {
    return await fetchSignedIn(path, options)
  } catch (cause) {
    // Each browser has other words for it, and each means its own function: "Failed to fetch".
    throw cause instanceof TypeError ? new Error('The runner does not answer.', { cause }) : cause
  }
}

/** Starts a run; its events come over the thread's own stream. */
export async function startRun(threadId: string, request: RunRequest): Promise<void> {
  const run = await runner.thread(threadId).run(request)
  run.leave()
}

/** The id of the sandbox's own thread (SESSION_ID); undefined when it has none. */
export async function readOwnThread(): Promise<string | undefined> {
  return toText(toObject(await (await runner.request('health')).json())['session_id'])
}

/** The bytes of a blob. `url` is the path that an event names; any other is refused, since the token goes along. */
export async function fetchBlob(url: string): Promise<Blob> {
  if (!url.startsWith('/sessions/')) throw new TypeError(`${url} is no blob of this runner.`)
  return await (await runner.request(url.replace(/^\//, ''))).blob()
}
