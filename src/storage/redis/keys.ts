/** All keys begin with it; what is under it is this program's alone. */
const PREFIX = 'agui'

/** Says whose the keys are, and in which form. */
export const FORMAT_KEY = `${PREFIX}:format`
export const FORMAT = 'agui-runner 1'
/** Begins the key that is tried at the start, and is the channel. */
export const CHECK_KEY = `${PREFIX}:check`
/** A set with the name of every thread, and perhaps of some that are no more. */
export const THREADS_KEY = `${PREFIX}:threads`

/** What each of a thread's keys is; in the order in which scripts get them. */
export const THREAD_TYPES = {
  /** Fields: fence, n, head, oldest, bytes, blobBytes, born, runner, facts. */
  meta: 'hash',
  /** Who holds the thread, as JSON; goes by itself when it is not renewed. */
  lease: 'string',
  /** One entry a batch, its id `<last seq>-<first seq>`. */
  log: 'stream',
  blobs: 'hash',
  runs: 'hash',
  messages: 'hash',
  queue: 'hash',
  /** Names of the agent's transcripts, each of which is a list beside it. */
  transcripts: 'set',
} as const

export type ThreadKey = keyof typeof THREAD_TYPES

const NAMES = Object.keys(THREAD_TYPES)

/** One hash tag, so that in a cluster all of a thread is on one node and is changed together. */
export function threadTag(threadId: string): string {
  return `${PREFIX}:{thread/${nameOf(threadId)}}`
}

export function threadKey(threadId: string, key: ThreadKey): string {
  return `${threadTag(threadId)}:${key}`
}

export function threadKeys(threadId: string): string[] {
  return NAMES.map((name) => `${threadTag(threadId)}:${name}`)
}

/** The channel on which each batch is announced, as `<born> <head>`, and the end, as `<born> dropped`. */
export function channelOf(threadId: string): string {
  return `${threadTag(threadId)}:changes`
}

export function transcriptKey(threadId: string, name: string): string {
  return `${threadTag(threadId)}:transcript/${nameOf(name)}`
}

/** What belongs to one runner and its workspace, by its id. */
export function workspaceKey(runnerId: string): string {
  return `${PREFIX}:{runner/${nameOf(runnerId)}}:workspace`
}

/** Any text, half characters too, as one that has no brace and no colon in it. */
export function nameOf(id: string): string {
  return encodeURIComponent(JSON.stringify(id).slice(1, -1))
}

/** Undefined for what `nameOf` does not give. */
export function idOfName(name: string): string | undefined {
  try {
    return String(JSON.parse(`"${decodeURIComponent(name)}"`))
  } catch {
    return undefined
  }
}
