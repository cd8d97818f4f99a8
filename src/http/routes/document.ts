import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { sendPage, wantsPage } from '../../page/page.ts'
import { about } from '../document/about.ts'
import type { DocumentedRoute, OpenApiDocument } from '../document/openapi.ts'
import { type DoorOptions, lacksToken } from '../doors/doors.ts'

type GetDocument = () => Promise<OpenApiDocument>

/**
 * Returns a function that builds the document on its first call.
 *
 * @param routes every route of the server; complete once the server listens.
 */
export function documentOf(routes: readonly DocumentedRoute[]): GetDocument {
  let made: Promise<OpenApiDocument> | undefined
  return () => {
    made ??= import('../document/openapi.ts').then(({ toDocument }) => toDocument(routes))
    return made
  }
}

/** Registers `GET /openapi.json`. */
export function documentRoutes(document: GetDocument) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get(
      '/openapi.json',
      about(() => ({
        tag: 'server',
        summary: 'This document.',
        answers: { 200: { says: 'OpenAPI 3.1.', json: z.looseObject({ openapi: z.string() }) } },
      })),
      async () => await document(),
    )
  }
}

export interface DocsRoutesOptions extends DoorOptions {
  document: GetDocument
  /** Refuses a request that may not see the document, for example one without the token. */
  check(request: FastifyRequest, reply: FastifyReply): void
}

/** Registers `GET /docs`: the document as a page. */
export function docsRoutes(options: DocsRoutesOptions) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get(
      '/docs',
      about(() => ({
        tag: 'server',
        summary: 'This document as a page; a browser without the token gets a page that asks for it.',
        answers: { 200: { says: 'The page.', media: ['text/html'] } },
      })),
      async (request, reply) => {
        const { renderDocs, DOCS_SIGN_IN } = await import('../document/docs-page.ts')
        if (wantsPage(request) && lacksToken(request, options)) return sendPage(reply, DOCS_SIGN_IN)
        options.check(request, reply)
        return sendPage(reply, renderDocs(await options.document()))
      },
    )
  }
}
