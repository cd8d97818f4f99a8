import { z } from 'zod'
import { isCode } from '../../errors.ts'
import type { ErrorHandler } from './error-answers.ts'
import { FORWARDED_MARK } from './forwarded-mark.ts'

const Where = z.object({ url: z.string() })

/**
 * Sends on what concerns a thread that lives on another runner, when the request has come whole, and answers with that
 * one's answer. When it cannot be reached, the client gets the address at which the thread lives.
 */
export function forwardElsewhere(answer: ErrorHandler): ErrorHandler {
  return async (error, request, reply) => {
    const where = isCode(error, 'elsewhere') ? Where.safeParse(error.details) : undefined
    if (where?.success !== true || request.headers[FORWARDED_MARK] !== undefined)
      return await answer(error, request, reply)
    const { url } = where.data
    try {
      // Loaded when it is used.
      const { sendOn } = await import('./send-on.ts')
      await sendOn(url, request, reply)
    } catch (reason) {
      request.log.warn({ url, err: reason }, 'not forwarded')
      await answer(error, request, reply)
    }
  }
}
