import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { about } from '../about.ts'
import type { DocumentedRoute, OpenApiDocument } from '../openapi.ts'
import { sendPage } from '../page.ts'

export interface DocumentRoutesOptions {
  /** Every route of the server, this file's included; complete when the server serves. */
  routes: readonly DocumentedRoute[]
}

/** `GET /openapi.json`, and `GET /docs`: the same for a person. Both are made when they are first asked for. */
export function documentRoutes({ routes }: DocumentRoutesOptions) {
  let made: Promise<OpenApiDocument> | undefined
  const document = (): Promise<OpenApiDocument> => {
    made ??= import('../openapi.ts').then(({ toDocument }) => toDocument(routes))
    return made
  }
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

    app.get(
      '/docs',
      about(() => ({
        tag: 'server',
        summary: 'This document as a page, complete without any other request.',
        answers: { 200: { says: 'The page.', media: ['text/html'] } },
      })),
      async (_request, reply) => {
        const { renderDocs } = await import('../docs-page.ts')
        return sendPage(reply, renderDocs(await document()))
      },
    )
  }
}
