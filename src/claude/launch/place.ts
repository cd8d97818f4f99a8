import { createHash } from 'node:crypto'

/** Where Claude Code works, and what it is given of it. */
export interface ClaudePlace {
  /** Its working directory. */
  directory: string
  additionalDirectories: readonly string[]
  /** A part of the system prompt. */
  instructions: string | undefined
  /** Another value asks for another process. */
  key: string
  /** What is not as it was wanted, in words for the user. */
  problems: readonly string[]
}

/** What a conversation keeps of the place it began in. */
export interface Origin {
  directory?: string | undefined
  /** Digest of what the system prompt was given then. */
  instructions?: string | undefined
  /** Set when its session could be resumed nowhere else. */
  staysIn?: string | undefined
  /** Id of the workspace, where several runners share a store. */
  workspace?: string | undefined
}

export function originOf(directory: string, instructions: string | undefined): Origin {
  return { directory, instructions: digestOf(instructions) }
}

/**
 * Claude Code records the system prompt of a session and sends the record on every resume, whatever a later start
 * says. What has changed is heard only without the record.
 */
export function isHeard(origin: Origin, instructions: string | undefined): boolean {
  return origin.instructions === digestOf(instructions)
}

/** The directory that the conversation began in, when it was another one and has not been tried. */
export function otherOrigin({ directory, staysIn }: Origin, here: ClaudePlace): string | undefined {
  const began = directory ?? here.additionalDirectories[0]
  return staysIn !== undefined || began === here.directory ? undefined : began
}

/** The problem to report of a conversation that comes from another runner's workspace. From now on this one is its own. */
export function moved(
  memory: { origin: Origin },
  { workspaceId }: { workspaceId: string | undefined },
  { directory }: ClaudePlace,
): string[] {
  const { origin } = memory
  if (workspaceId === undefined || origin.workspace === undefined || origin.workspace === workspaceId)
    return []
  memory.origin = { ...origin, workspace: workspaceId }
  const before = origin.directory ?? 'its workspace'
  return [
    `This thread was with another runner, in ${before}: what it made there is in ${directory} only where the platform has moved it.`,
  ]
}

function digestOf(instructions: string | undefined): string | undefined {
  return instructions === undefined
    ? undefined
    : createHash('sha256').update(instructions).digest('base64url')
}
