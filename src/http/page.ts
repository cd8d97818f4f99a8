import { createHash } from 'node:crypto'
import type { FastifyReply } from 'fastify'

/** A page that is complete in itself: one style sheet of its own, no script, nothing from elsewhere. */
export interface Page {
  title: string
  style: string
  /** HTML; whoever made it has escaped what is not its own. */
  body: string
}

/** Sends it under a policy that lets it do no more than be read. */
export function sendPage(reply: FastifyReply, { title, style, body }: Page): FastifyReply {
  const hash = createHash('sha256').update(style).digest('base64')
  const policy = [
    "default-src 'none'",
    `style-src 'sha256-${hash}'`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
  return reply
    .header('content-security-policy', policy)
    .header('x-content-type-options', 'nosniff')
    .header('referrer-policy', 'no-referrer')
    .header('cross-origin-opener-policy', 'same-origin')
    .type('text/html; charset=utf-8')
    .send(
      `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
        `<title>${escapeHtml(title)}</title><style>${style}</style></head><body>${body}</body></html>`,
    )
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
