import { z } from 'zod'
import { RunnerError } from '../errors.ts'
import { parseJson } from '../json.ts'
import type { LaunchMode } from './plan.ts'

/** A repository as GitHub describes it to a workflow (`GITHUB_EVENT_PATH`) or by its API. */
const Repository = z.object({
  full_name: z.string().optional(),
  visibility: z.string().optional(),
  private: z.boolean().optional(),
})
const Event = z.object({ repository: Repository.optional() })

export interface ModeDecision {
  mode: LaunchMode
  /** The reason, which is printed at the start. */
  reason: string
}

export interface ModeRequest {
  wanted: 'auto' | LaunchMode
  /** The agent's repository. */
  repository: string | undefined
  eventJson: string | undefined
  /** Asks GitHub for the visibility. Returns undefined without an answer. */
  ask(repository: string): Promise<string | undefined>
}

/**
 * Decides `--mode auto`: an open network only for a repository that is known to be public.
 *
 * @throws {RunnerError} `config_invalid` when an open network is asked for a repository that is not known to be public.
 */
export async function decideMode(request: ModeRequest): Promise<ModeDecision> {
  const { wanted, repository } = request
  if (wanted === 'private' || (wanted === 'public' && repository === undefined))
    return { mode: wanted, reason: `--mode ${wanted}` }
  const { isPublic, reason } = await visibilityOf(request)
  if (wanted === 'auto') return { mode: isPublic ? 'public' : 'private', reason }
  if (isPublic) return { mode: 'public', reason: `--mode public, and ${reason}` }
  throw new RunnerError(
    'config_invalid',
    `--mode public is for public repositories, and ${reason} (${repository}): use --mode private.`,
  )
}

async function visibilityOf({ repository, eventJson, ask }: ModeRequest) {
  const eventRepository = Event.safeParse(parseJson(eventJson ?? '')).data?.repository
  const isAnother =
    repository !== undefined &&
    eventRepository?.full_name !== undefined &&
    eventRepository.full_name.toLowerCase() !== repository.toLowerCase()
  if (eventRepository !== undefined && !isAnother) return judge(eventRepository, 'the event')
  const unknown = `the visibility of the repository is not known (${eventJson === undefined ? 'no GITHUB_EVENT_PATH' : 'the event is not about it'}`
  if (repository === undefined) return { isPublic: false, reason: `${unknown})` }
  const said = Repository.safeParse(parseJson((await ask(repository)) ?? ''))
  if (said.success) return judge(said.data, 'GitHub')
  return { isPublic: false, reason: `${unknown}, and GitHub did not say)` }
}

function judge({ visibility, private: isPrivate }: z.infer<typeof Repository>, who: string) {
  const said = visibility ?? (isPrivate === false ? 'public' : isPrivate === true ? 'private' : 'not known')
  if (said === 'public' && isPrivate !== true)
    return { isPublic: true, reason: `${who} says that the repository is public` }
  return { isPublic: false, reason: `${who} says of the repository’s visibility: ${JSON.stringify(said)}` }
}
