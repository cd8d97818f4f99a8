import { isObject, type Json, toObject, toText } from './fields.ts'
import { Refusal } from './follow.ts'

/** From page-token.ts, in front of this module in the page: `fetch` with the token, which it asks for when it must. */
declare function fetchSignedIn(url: string, options?: RequestInit): Promise<Response>

export type Delivery = 'steer' | 'queue'

export interface ResumeEntry {
  interruptId: string
  status: 'resolved' | 'cancelled'
  payload?: unknown
}

/** Addresses are relative to the page: a proxy may serve the runner under a path of its own. */
async function call(path: string, options: RequestInit = {}): Promise<Response> {
  const response = await fetchSignedIn(path, { cache: 'no-store', ...options })
  if (response.ok) return response
  throw await refusalOf(response)
}

async function refusalOf(response: Response): Promise<Refusal> {
  const body: unknown = await response.json().catch(() => undefined)
  const { code, message, details } = toObject(toObject(body)['error'])
  return new Refusal(response.status, {
    code: toText(code) ?? `http_${response.status}`,
    message: toText(message) ?? `The server answered ${response.status}.`,
    details,
  })
}

async function post(path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  return await call(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  })
}

const threadPath = (threadId: string): string => `sessions/${encodeURIComponent(threadId)}`

export async function listSessions(signal: AbortSignal): Promise<Json[]> {
  const body: unknown = await (await call('sessions', { signal })).json()
  const sessions = toObject(body)['sessions']
  return Array.isArray(sessions) ? sessions.filter(isObject) : []
}

export async function openEvents(threadId: string, after: number, signal: AbortSignal): Promise<Response> {
  const accept = { accept: 'text/event-stream' }
  return await call(`${threadPath(threadId)}/events?after=${after}`, { headers: accept, signal })
}

/** Starts a run; its events come over the thread's own stream. */
export async function startRun(
  threadId: string,
  input: { prompt: string } | { resume: readonly ResumeEntry[] },
): Promise<void> {
  const messages = 'prompt' in input ? [{ id: newId(), role: 'user', content: input.prompt }] : []
  const resume = 'resume' in input ? { resume: input.resume } : {}
  const version = { protocolVersion: '1.0' }
  const body = {
    threadId,
    runId: newId(),
    ...version,
    state: {},
    messages,
    tools: [],
    context: [],
    ...resume,
  }
  const response = await post('./', body)
  await response.body?.cancel()
}

/** Resolves with what becomes of the message. */
export async function sendMessage(threadId: string, content: string, delivery: Delivery): Promise<string> {
  const response = await post(`${threadPath(threadId)}/messages`, { content, delivery })
  return toText(toObject(await response.json())['delivery']) ?? delivery
}

export async function interrupt(threadId: string): Promise<boolean> {
  const response = await post(`${threadPath(threadId)}/interrupt`, {})
  return toObject(await response.json())['interrupted'] === true
}

export async function forget(threadId: string): Promise<void> {
  await call(threadPath(threadId), { method: 'DELETE' })
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
  return toText(toObject(await (await call('health')).json())['session_id'])
}

/** `url` as an event names it, from the root of the runner; the token goes to nobody else. */
export async function fetchBlob(url: string): Promise<Blob> {
  if (!url.startsWith('/sessions/')) throw new TypeError(`${url} is no blob of this runner.`)
  return await (await call(url.replace(/^\//, ''))).blob()
}

const ID_BYTES = 12

/** Not `randomUUID`, which browsers keep from pages that came over plain HTTP from another machine. */
export function newId(bytes = ID_BYTES): string {
  const random = crypto.getRandomValues(new Uint8Array(bytes))
  return [...random].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
