import { createHash, randomBytes } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** A self-contained page with its own style sheet and script, and nothing from other origins. */
export interface Page {
  title: string
  style: string
  /** HTML. The caller has escaped all foreign text in it. */
  body: string
  /** JavaScript. The page's policy lets it connect to the runner only. */
  script?: string
  /** The URL of one of the runner's ES modules, which may import others. It runs after `script` and parses no HTML. */
  module?: string
}

const NONCE_BYTES = 16

/** Sends a page with a policy that allows only its own style and script, and connections to the runner. */
export function sendPage(reply: FastifyReply, { title, style, body, script, module }: Page): FastifyReply {
  // The nonce also covers what the module imports. With 'self', any file of the workspace could be a script.
  const nonce = randomBytes(NONCE_BYTES).toString('base64')
  const scripts = [
    ...(script === undefined ? [] : [`'${hashOf(script)}'`]),
    ...(module === undefined ? [] : [`'nonce-${nonce}'`]),
  ]
  const policy = [
    "default-src 'none'",
    `style-src '${hashOf(style)}'`,
    ...(scripts.length === 0 ? [] : [`script-src ${scripts.join(' ')}`, "connect-src 'self'"]),
    // For pictures of the conversation: the module has their bytes and makes `blob:` URLs of them.
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

/** Whether a browser opens this as a page. It may then be answered without the token, by a page without content. */
export function wantsPage({ method, headers }: FastifyRequest): boolean {
  return (method === 'GET' || method === 'HEAD') && /\btext\/html\b/.test(headers.accept ?? '')
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}
