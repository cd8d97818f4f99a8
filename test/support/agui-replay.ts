import { HttpAgent } from '@ag-ui/client'
import type { Message } from '@ag-ui/core'

/**
 * The messages that the reference client holds behind these events, which go through its whole pipeline; rejects when
 * they are not legal or the client has something to warn of.
 */
export async function messagesOf(events: readonly object[], threadId = 'thread-1'): Promise<Message[]> {
  const body = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')
  const agent = new HttpAgent({
    url: 'http://agui.invalid/',
    threadId,
    fetch: async () => new Response(body, { headers: { 'content-type': 'text/event-stream' } }),
  })
  const { error, warn } = console
  const warnings: string[] = []
  console.error = () => undefined
  console.warn = (...words: unknown[]) => void warnings.push(words.join(' '))
  try {
    await agent.runAgent()
  } finally {
    Object.assign(console, { error, warn })
  }
  if (warnings.length > 0) throw new Error(`the client warns: ${warnings.join('\n')}`)
  return agent.messages
}
