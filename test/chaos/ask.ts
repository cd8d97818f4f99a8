import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'

export interface Asked {
  method?: string | undefined
  body?: unknown
}

/** On a connection of its own: each is accepted anew, and none is left. Rejects when the runner is not there. */
export function ask(url: string, { method = 'GET', body }: Asked = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' }
    const asked = request(url, { method, headers, agent: false }, resolve).once('error', reject)
    asked.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

/** An answer whose fields the caller looks at by name. */
// biome-ignore lint/suspicious/noExplicitAny: as it says
export async function bodyOf(response: IncomingMessage): Promise<Record<string, any>> {
  return JSON.parse((await text(response)) || '{}')
}
