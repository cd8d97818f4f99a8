import { createHash } from 'node:crypto'

/** Where Claude Code works, and what it is told of it. */
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

function digestOf(instructions: string | undefined): string | undefined {
  return instructions === undefined
    ? undefined
    : createHash('sha256').update(instructions).digest('base64url')
}
