import { readFile, realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Agent, request } from 'undici'
import { z } from 'zod'
import type { Rights } from '../broker/session.ts'
import { RunnerError, toMessage } from '../errors.ts'
import type { LaunchMode } from '../launch/plan.ts'
import type { LaunchDoor } from '../launch/prepare.ts'

/** Lifetime of a session without a heartbeat, in seconds: the gateway ends the session of a launcher that died. */
const TTL_SECONDS = 600
const HEARTBEAT_MS = 60_000
const ANSWER_MS = 30_000

export interface NamedGateway {
  /** The path of the gateway's control socket. */
  control: string
  secretFile: string
  run: string
  mode: LaunchMode
  rights: Pick<Rights, 'repositories' | 'branchPrefix'>
  say(line: string): void
}

const Health = z.object({ agentEnvironment: z.record(z.string(), z.string()) })
const Ended = z.object({ pullRequests: z.array(z.string()) })
const Failed = z.object({ error: z.object({ message: z.string() }) })

/**
 * Prepares a session at a running `agui-runner gateway`, so that this process needs no credential.
 *
 * @throws {RunnerError} `config_invalid` when the secret cannot be read; `sandbox_failed` when the gateway does not
 *   answer as expected.
 */
export async function findNamedDoor(named: NamedGateway): Promise<LaunchDoor> {
  const { control, secretFile, run, mode, rights, say } = named
  const [secret, place] = await Promise.all([readFile(secretFile, 'utf8'), realpath(dirname(control))]).catch(
    (error: unknown) => {
      throw new RunnerError('config_invalid', `--gateway ${control}: ${toMessage(error)}.`)
    },
  )
  const ask = (method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<unknown> =>
    askControl(control, { method, path, body, secret: secret.trim() })
  const { agentEnvironment } = Health.parse(await ask('GET', '/health'))
  return {
    environment: agentEnvironment,
    folder: () => join(place, 's', run),
    async open() {
      await ask('POST', '/sessions', { id: run, mode, ...rights, ttlSeconds: TTL_SECONDS })
      const beating = setInterval(() => {
        ask('POST', `/sessions/${run}/heartbeat`).catch((error: unknown) => say(toMessage(error)))
      }, HEARTBEAT_MS)
      return {
        async close() {
          clearInterval(beating)
          return Ended.parse(await ask('DELETE', `/sessions/${run}`))
        },
      }
    },
  }
}

interface Asked {
  method: 'GET' | 'POST' | 'DELETE'
  path: string
  body: object | undefined
  secret: string
}

async function askControl(socketPath: string, { method, path, body, secret }: Asked): Promise<unknown> {
  const dispatcher = new Agent({ connect: { socketPath } })
  try {
    const answer = await request(`http://gateway${path}`, {
      ...{ method, dispatcher, signal: AbortSignal.timeout(ANSWER_MS) },
      headers: { authorization: `Bearer ${secret}`, ...(body && { 'content-type': 'application/json' }) },
      body: body === undefined ? null : JSON.stringify(body),
    })
    const said: unknown = await answer.body.json()
    if (answer.statusCode < 300) return said
    throw new Error(Failed.safeParse(said).data?.error.message ?? `it answered ${answer.statusCode}`)
  } catch (error) {
    throw new RunnerError('sandbox_failed', `The gateway at ${socketPath}: ${toMessage(error)}`, {
      cause: error,
    })
  } finally {
    await dispatcher.destroy()
  }
}
