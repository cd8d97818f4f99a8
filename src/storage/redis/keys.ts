/** Prefix of all keys. Only this program uses keys with it. */
const PREFIX = 'agui'

/** Key of the mark that says whose the keys are and in which format. */
export const FORMAT_KEY = `${PREFIX}:format`
export const FORMAT = 'agui-runner 1'
/** Prefix of the key that the start-up check tries, and name of the channel that it tries. */
export const CHECK_KEY = `${PREFIX}:check`
/** Key of a set with the name of every thread, and perhaps of some that no longer exist. */
export const THREADS_KEY = `${PREFIX}:threads`

/** Redis type of each of a thread's keys, in the order in which scripts get them. */
export const THREAD_TYPES = {
  /** Fields: fence, n, head, oldest, bytes, blobBytes, born, runner, facts. */
  meta: 'hash',
  /** The holder of the thread, as JSON; expires when it is not renewed. */
  lease: 'string',
  /** One entry per batch, with the id `<last seq>-<first seq>`. */
  log: 'stream',
  blobs: 'hash',
  runs: 'hash',
  messages: 'hash',
  queue: 'hash',
  /** Names of the agent's transcripts. Each transcript is a list under its own key. */
  transcripts: 'set',
} as const

export type ThreadKey = keyof typeof THREAD_TYPES

const NAMES = Object.keys(THREAD_TYPES)

/** Returns the prefix of a thread's keys. Its hash tag keeps them on one cluster node, to be changed together. */
export function threadTag(threadId: string): string {
  return `${PREFIX}:{thread/${nameOf(threadId)}}`
}

export function threadKey(threadId: string, key: ThreadKey): string {
  return `${threadTag(threadId)}:${key}`
}

export function threadKeys(threadId: string): string[] {
  return NAMES.map((name) => `${threadTag(threadId)}:${name}`)
}

/** Returns the channel that announces each batch, as `<born> <head>`, and the thread's end, as `<born> dropped`. */
export function channelOf(threadId: string): string {
  return `${threadTag(threadId)}:changes`
}

export function transcriptKey(threadId: string, name: string): string {
  return `${threadTag(threadId)}:transcript/${nameOf(name)}`
}

/** Returns the key of a runner's workspace facts. */
export function workspaceKey(runnerId: string): string {
  return `${PREFIX}:{runner/${nameOf(runnerId)}}:workspace`
}

/** Encodes any text, lone surrogates too, as a name without braces and colons. */
export function nameOf(id: string): string {
  return encodeURIComponent(JSON.stringify(id).slice(1, -1))
}

/** Decodes a name. Returns undefined for a text that `nameOf` does not return. */
export function idOfName(name: string): string | undefined {
  try {
    return String(JSON.parse(`"${decodeURIComponent(name)}"`))
  } catch {
    return undefined
  }
}
