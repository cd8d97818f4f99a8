import { z } from 'zod'
import type { LaunchMode } from './plan.ts'

/** What GitHub tells a workflow of the repository (`GITHUB_EVENT_PATH`). */
const Event = z.object({
  repository: z.object({ visibility: z.string().optional(), private: z.boolean().optional() }).optional(),
})

export interface ModeDecision {
  mode: LaunchMode
  /** Told at the start. */
  reason: string
}

/** `--mode auto`: the open network is for what is known to be public; who does not know is careful. Pure. */
export function decideMode(wanted: 'auto' | LaunchMode, eventJson: string | undefined): ModeDecision {
  if (wanted !== 'auto') return { mode: wanted, reason: `--mode ${wanted}` }
  if (eventJson === undefined)
    return { mode: 'private', reason: 'the visibility of the repository is not known (no GITHUB_EVENT_PATH)' }
  const repository = Event.safeParse(parse(eventJson)).data?.repository
  const visibility = repository?.visibility ?? (repository?.private === false ? 'public' : undefined)
  if (visibility === 'public' && repository?.private !== true)
    return { mode: 'public', reason: 'the event says that the repository is public' }
  const known = visibility ?? (repository?.private === true ? 'private' : 'not known')
  return {
    mode: 'private',
    reason: `the visibility of the repository is ${JSON.stringify(known)} in the event`,
  }
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}
