import { createHash, randomBytes } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** A page that is complete in itself: one style sheet and one script of its own, nothing from elsewhere. */
export interface Page {
  title: string
  style: string
  /** HTML; whoever made it has escaped what is not its own. */
  body: string
  /** JavaScript; it may talk to the runner and to nobody else. */
  script?: string
  /** Address of an ES module of the runner's own, which may import others; it runs behind `script`, and parses no HTML. */
  module?: string
}

const NONCE_BYTES = 16

/** Sends it under a policy that lets it do no more than be read, and run the script it came with. */
export function sendPage(reply: FastifyReply, { title, style, body, script, module }: Page): FastifyReply {
  // Goes over to what the module imports. 'self' would let any file of the workspace be a script.
  const nonce = randomBytes(NONCE_BYTES).toString('base64')
  const scripts = [
    ...(script === undefined ? [] : [`'${hashOf(script)}'`]),
    ...(module === undefined ? [] : [`'nonce-${nonce}'`]),
  ]
  const policy = [
    "default-src 'none'",
    `style-src '${hashOf(style)}'`,
    ...(scripts.length === 0 ? [] : [`script-src ${scripts.join(' ')}`, "connect-src 'self'"]),
    // Pictures of the conversation: the module has their bytes, and gives them an address of the page's own.
    ...(module === undefined
      ? []
      : ['img-src blob:', "require-trusted-types-for 'script'", "trusted-types 'none'"]),
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
  const scriptTag = script === undefined ? '' : `<script>${script}</script>`
  const moduleTag =
    module === undefined ? '' : `<script type="module" nonce="${nonce}" src="${escapeHtml(module)}"></script>`
  return reply
    .header('content-security-policy', policy)
    .header('x-content-type-options', 'nosniff')
    .header('referrer-policy', 'no-referrer')
    .header('cross-origin-opener-policy', 'same-origin')
    .header('cache-control', 'no-store')
    .type('text/html; charset=utf-8')
    .send(
      `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
        `<title>${escapeHtml(title)}</title><style>${style}</style></head><body>${body}${scriptTag}${moduleTag}</body></html>`,
    )
}

/** Whether a browser opens this as a page: then it may be answered without the token, by a page that holds nothing. */
export function wantsPage({ method, headers }: FastifyRequest): boolean {
  return (method === 'GET' || method === 'HEAD') && /\btext\/html\b/.test(headers.accept ?? '')
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}
