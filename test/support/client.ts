import { createParser } from 'eventsource-parser'

/** An event as a client gets it: parsed JSON whose fields the test looks at by name. */
export interface ClientEvent {
  type: string
  // biome-ignore lint/suspicious/noExplicitAny: a test reads the fields of whatever event it expects
  [field: string]: any
}

export interface Frame {
  id: number
  event: ClientEvent
}

export function userMessage(content: unknown, id: string = crypto.randomUUID()) {
  return { id, role: 'user', content }
}

export function runInput(threadId: string, ...contents: unknown[]) {
  const messages = contents.map((content) => userMessage(content))
  return { threadId, runId: crypto.randomUUID(), protocolVersion: '1.0', messages }
}

export function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}

/** A JSON answer whose fields the test looks at by name. */
// biome-ignore lint/suspicious/noExplicitAny: a test reads the fields of whatever answer it expects
export async function bodyOf(response: Response): Promise<Record<string, any>> {
  const body: unknown = await response.json()
  if (typeof body !== 'object' || body === null) throw new Error(`no object: ${JSON.stringify(body)}`)
  return body
}

/** The frames of an SSE answer as they arrive; ends with the stream. */
export async function* frames(response: Response): AsyncGenerator<Frame> {
  if (response.body === null) throw new Error('no body')
  const ready: Frame[] = []
  const parser = createParser({
    onEvent: ({ id, data }) => ready.push({ id: Number(id), event: JSON.parse(data) }),
  })
  const decoder = new TextDecoder()
  for await (const chunk of response.body) {
    parser.feed(decoder.decode(chunk, { stream: true }))
    yield* ready.splice(0)
  }
}

/** All events of an SSE answer. */
export async function events(response: Response): Promise<ClientEvent[]> {
  const all: ClientEvent[] = []
  for await (const { event } of frames(response)) all.push(event)
  return all
}

/** Runs a prompt to its end. */
export async function run(
  url: string,
  input: unknown,
  headers: Record<string, string> = {},
): Promise<ClientEvent[]> {
  const response = await post(url, input, headers)
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`)
  return await events(response)
}

/** The text of the assistant's messages, joined. */
export function textOf(all: readonly ClientEvent[]): string {
  return all
    .filter(({ type }) => type === 'TEXT_MESSAGE_CONTENT')
    .map(({ delta }) => delta)
    .join('')
}
