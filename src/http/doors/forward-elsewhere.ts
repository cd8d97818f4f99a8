import { z } from 'zod'
import { isCode } from '../../errors.ts'
import type { ErrorHandler } from './error-answers.ts'
import { FORWARDED_MARK } from './forwarded-mark.ts'

const Where = z.object({ url: z.string() })

/**
 * Forwards a request for a thread that lives on another runner (`elsewhere`), and answers with that runner's answer.
 * The request's body has arrived in full by then. If the other runner cannot be reached, the client gets its address.
 */
export function forwardElsewhere(answer: ErrorHandler): ErrorHandler {
  return async (error, request, reply) => {
    const where = isCode(error, 'elsewhere') ? Where.safeParse(error.details) : undefined
    if (where?.success !== true || request.headers[FORWARDED_MARK] !== undefined)
      return await answer(error, request, reply)
    const { url } = where.data
    try {
      // Imported only when a request is forwarded.
      const { sendOn } = await import('./send-on.ts')
      await sendOn(url, request, reply)
    } catch (reason) {
      request.log.warn({ url, err: reason }, 'not forwarded')
      await answer(error, request, reply)
    }
  }
}
