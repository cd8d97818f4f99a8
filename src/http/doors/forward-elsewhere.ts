import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { isCode, RunnerError } from '../../errors.ts'
import type { ErrorHandler } from './error-answers.ts'
import { FORWARDED_MARK } from './forwarded-mark.ts'

const Where = z.object({ url: z.string(), threadId: z.string() })

/** How often the owner's lease is looked at while its answer is awaited, in milliseconds. */
const LOOK_MS = 1000

/** Returns the `elsewhere` error that says where a thread lives now. */
export type Whereabouts = (threadId: string) => Promise<RunnerError>

/**
 * Forwards a request for a thread that lives on another runner (`elsewhere`), and answers with that runner's answer.
 * The request's body has arrived in full by then. If the other runner cannot be reached, the client gets its address.
 * A runner that does not answer is waited for as long as it has the thread: a stopped process still accepts
 * connections, and its lease ends.
 */
export function forwardElsewhere(answer: ErrorHandler, whereabouts: Whereabouts): ErrorHandler {
  return async (error, request, reply) => {
    const where = isCode(error, 'elsewhere') ? Where.safeParse(error.details) : undefined
    if (where?.success !== true || request.headers[FORWARDED_MARK] !== undefined)
      return await answer(error, request, reply)
    const { url } = where.data
    const lost = async (signal: AbortSignal): Promise<RunnerError> => {
      for (;;) {
        await delay(LOOK_MS, undefined, { signal })
        const moved = await movedFrom(where.data, whereabouts)
        if (moved !== undefined) return moved
      }
    }
    try {
      // Imported only when a request is forwarded.
      const { sendOn } = await import('./send-on.ts')
      await sendOn(url, request, reply, lost)
    } catch (reason) {
      request.log.warn({ url, err: reason }, 'not forwarded')
      await answer(isCode(reason, 'elsewhere') ? reason : error, request, reply)
    }
  }
}

/** Returns where the thread is, once it has left the runner at `url`; undefined while that one has it. */
async function movedFrom(
  { url, threadId }: z.infer<typeof Where>,
  whereabouts: Whereabouts,
): Promise<RunnerError | undefined> {
  // A store that does not answer says nothing of the runner.
  const now = await whereabouts(threadId).catch(() => undefined)
  if (now === undefined) return undefined
  const owner = Where.safeParse(now.details)
  if (owner.success) return owner.data.url === url ? undefined : now
  return new RunnerError(
    'elsewhere',
    `Thread "${threadId}" was on the runner at ${url}, which did not answer before its lease ended: send this again, to any runner.`,
  )
}
