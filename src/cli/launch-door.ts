import { type AuditLine, openAudit } from '../broker/audit.ts'
import { type Rights, Session } from '../broker/session.ts'
import { digestOf, newToken } from '../broker/token.ts'
import { agentEnvironment, UpstreamDoors } from '../broker/upstream-doors.ts'
import type { Env } from '../config.ts'
import { RunnerError, toMessage } from '../errors.ts'
import type { GitHubApp } from '../github-app/app-token.ts'
import type { LaunchMode } from '../launch/plan.ts'
import type { LaunchDoor } from '../launch/prepare.ts'
import { NO_ROUTE } from '../model-route/probe.ts'
import { detectRoute } from '../model-route/route.ts'
import { loadPolicy } from '../policy/read/load.ts'
import type { Policy } from '../policy/read/schema.ts'

const DETECT_MS = 10_000

export interface OwnDoorOptions {
  env: Env
  wrappersDirectory: string
  /** The id of the session. */
  run: string
  mode: LaunchMode
  policyFile: string
  rights: Pick<Rights, 'repositories' | 'branchPrefix'>
  auditFile: string | undefined
  app: GitHubApp | undefined
  say(line: string): void
}

/**
 * Prepares the broker in this process, for one session and with the credentials of this environment.
 *
 * @throws {RunnerError} `no_model_route` when the environment names no model route; `config_invalid`.
 */
export async function findOwnDoor(options: OwnDoorOptions): Promise<LaunchDoor> {
  const { env, wrappersDirectory, run, mode, auditFile, app, say } = options
  const route = await detectRoute({ env, wrappersDirectory, signal: AbortSignal.timeout(DETECT_MS) })
  if (route.kind === 'none') throw new RunnerError('no_model_route', `${NO_ROUTE}.`)
  const policy = mode === 'private' ? await policyIn(options.policyFile) : undefined
  const rights: Rights = { ...options.rights, limits: {}, prices: {} }
  return {
    environment: agentEnvironment(route.kind, env),
    folder: (own) => own,
    async open(folder) {
      const doors = new UpstreamDoors({ route, env, policy, app, onTokenProblem: say })
      const onFailure = ({ message }: Error): void => say(`the audit cannot be written: ${message}`)
      const audit = auditFile === undefined ? undefined : await openAudit(auditFile, onFailure)
      // Access to the socket is the proof, so the token is sent to nobody.
      const session = new Session({ id: run, rights, digest: digestOf(newToken()), needsToken: false })
      const write = (line: AuditLine): void => audit?.write(line)
      const close = async (): Promise<void> => {
        await Promise.all([doors.close(), audit?.close()])
      }
      try {
        const server = await doors.open({ session, mode, folder, listen: 'socket', audit: write })
        return {
          async close() {
            await server.close()
            await close()
            return { pullRequests: [...session.pulls.values()] }
          },
        }
      } catch (error) {
        await close()
        throw error
      }
    },
  }
}

/** A report has a code. */
async function policyIn(file: string): Promise<Policy> {
  try {
    return await loadPolicy(file)
  } catch (error) {
    throw new RunnerError('policy_invalid', toMessage(error), { cause: error })
  }
}
