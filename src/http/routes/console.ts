import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Assets } from '../../console/assets.ts'
import { RunnerError } from '../../errors.ts'
import { sendPage, wantsPage } from '../../page/page.ts'
import { about } from '../document/about.ts'
import { parse } from '../doors/parse.ts'

const Params = z.object({ version: z.string(), file: z.string() })

const PAGE = about(() => ({
  tag: 'server',
  summary: 'The session console, for a browser (Accept: text/html).',
  details: 'It holds nothing of any session: its script asks for all that it shows, with the token.',
  isOpen: 'as-page',
  answers: { 200: { says: 'The page.', media: ['text/html'] } },
  errors: ['not_found'],
}))

const MODULE = about(() => ({
  tag: 'server',
  summary: "A script of the console; its address changes with the script's content.",
  isOpen: 'as-page',
  params: Params,
  answers: { 200: { says: 'JavaScript.', media: ['text/javascript'] } },
  errors: ['not_found'],
}))

/** Registers `GET /` for a browser, and the scripts of that page. The files are read on the first request only. */
export function consoleRoutes() {
  let reading: Promise<Assets> | undefined
  const assets = async (): Promise<Assets> => {
    reading ??= import('../../console/assets.ts').then(({ readAssets }) => readAssets())
    try {
      return await reading
    } catch (error) {
      // The next request reads again, because the console may have been built in the meantime.
      reading = undefined
      throw error
    }
  }
  return async (app: FastifyInstance): Promise<void> => {
    app.get('/', PAGE, async (request, reply) => {
      // Keeps the `Vary` that an earlier hook has set.
      reply.header('vary', [reply.getHeader('vary'), 'Accept'].flat().filter(Boolean).join(', '))
      if (!wantsPage(request)) {
        const message = 'A run is POST /; the console is here for a browser (Accept: text/html).'
        throw new RunnerError('not_found', message)
      }
      const { consolePage } = await import('../../console/console-page.ts')
      const { version } = await assets()
      return sendPage(reply, consolePage(version))
    })

    app.get('/console/:version/:file', MODULE, async (request, reply) => {
      const asked = parse(Params, request.params, 'the path')
      const { version, files } = await assets()
      const bytes = asked.version === version ? files.get(asked.file) : undefined
      if (bytes === undefined) {
        throw new RunnerError(
          'not_found',
          'The console has no such script, or no longer; load the page again.',
        )
      }
      return reply
        .header('cache-control', 'public, max-age=31536000, immutable')
        .header('cross-origin-resource-policy', 'same-origin')
        .type('text/javascript; charset=utf-8')
        .send(bytes)
    })
  }
}
