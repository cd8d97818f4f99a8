import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { RunnerError } from '../../errors.ts'

/** This process as others see it in a lease. */
export interface Tenant {
  /** Of the runner in all its lives: a runner that starts again has its threads at once. */
  runnerId: string
  /** Of this process: what an earlier life of the runner still writes is not this one's. */
  processId: string
  lease: string
  leaseMs: number
}

const Lease = z.object({ id: z.string(), url: z.string() })

export function tenantOf(runnerId: string, url: string, leaseMs: number): Tenant {
  const processId = randomUUID()
  return { runnerId, processId, lease: JSON.stringify({ id: runnerId, url, process: processId }), leaseMs }
}

/** @param lease as Redis holds it. */
export function elsewhere(threadId: string, lease = ''): RunnerError {
  const parsed = lease === '' ? undefined : Lease.safeParse(parseJson(lease))
  const url = parsed?.success === true ? parsed.data.url : undefined
  const where = url === undefined ? 'another runner' : `the runner at ${url}`
  const message = `Thread "${threadId}" lives on ${where}: send this there, or wait until that one has given it up.`
  return new RunnerError('elsewhere', message, url === undefined ? {} : { details: { url } })
}

export function nowhere(threadId: string): RunnerError {
  return new RunnerError(
    'elsewhere',
    `Thread "${threadId}" lives on no runner now, and this process only reads: send this to a runner.`,
  )
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
