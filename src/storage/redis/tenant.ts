import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { RunnerError } from '../../errors.ts'
import { parseJson } from '../../json.ts'

/** The identity of this process, as its leases show it to others. */
export interface Tenant {
  /** Id of the runner, kept across restarts: a runner that starts again can have its threads at once. */
  runnerId: string
  /** Id of this process: it distinguishes late writes of the runner's earlier process. */
  processId: string
  lease: string
  leaseMs: number
}

const Lease = z.object({ id: z.string(), url: z.string() })

export function tenantOf(runnerId: string, url: string, leaseMs: number): Tenant {
  const processId = randomUUID()
  return { runnerId, processId, lease: JSON.stringify({ id: runnerId, url, process: processId }), leaseMs }
}

/** Returns an `elsewhere` error. @param lease as Redis holds it (JSON); empty when unknown. */
export function elsewhere(threadId: string, lease = ''): RunnerError {
  const parsed = lease === '' ? undefined : Lease.safeParse(parseJson(lease))
  const url = parsed?.success === true ? parsed.data.url : undefined
  const where = url === undefined ? 'another runner' : `the runner at ${url}`
  const message = `Thread "${threadId}" lives on ${where}: send this there, or wait until that one has given it up.`
  return new RunnerError('elsewhere', message, url === undefined ? {} : { details: { threadId, url } })
}

export function nowhere(threadId: string): RunnerError {
  return new RunnerError(
    'elsewhere',
    `Thread "${threadId}" lives on no runner now, and this process only reads: send this to a runner.`,
  )
}
