import { createHash } from 'node:crypto'

/** The place where Claude Code works, with the instructions that describe it. */
export interface ClaudePlace {
  /** The working directory. */
  directory: string
  additionalDirectories: readonly string[]
  /** The place's part of the system prompt. */
  instructions: string | undefined
  /** Identifies the place: a process that was started with another value cannot be used. */
  key: string
  /** The ways in which the place differs from the wanted one, in words for the user. */
  problems: readonly string[]
}

/** The facts that a conversation keeps about the place in which it began. */
export interface Origin {
  directory?: string | undefined
  /** Digest of the instructions that were added to the system prompt then. */
  instructions?: string | undefined
  /** The directory outside of which the session could not be resumed. */
  staysIn?: string | undefined
  /** Id of the workspace when several runners share a store. */
  workspace?: string | undefined
}

export function originOf(directory: string, instructions: string | undefined): Origin {
  return { directory, instructions: digestOf(instructions) }
}

/**
 * Whether the session's recorded system prompt contains these instructions. Claude Code records the system prompt of
 * a session and sends the record on every resume, whatever a later start says. Changed instructions reach the model
 * only without the record.
 */
export function isHeard(origin: Origin, instructions: string | undefined): boolean {
  return origin.instructions === digestOf(instructions)
}

/** Returns the directory in which the conversation began, unless it is the current one or was tried already. */
export function otherOrigin({ directory, staysIn }: Origin, here: ClaudePlace): string | undefined {
  const began = directory ?? here.additionalDirectories[0]
  return staysIn !== undefined || began === here.directory ? undefined : began
}

/**
 * Returns the problem to report when the conversation comes from another runner's workspace. Makes this workspace the
 * conversation's own, so that the problem is reported once.
 */
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
