import { constants } from 'node:fs'
import { join } from 'node:path'
import type { Options, SessionKey } from '@anthropic-ai/claude-agent-sdk'
import { z } from 'zod'
import { RunnerError } from '../errors.ts'
import { parseJson } from '../json.ts'
import type { Folder } from '../workspace/folder.ts'
import { WorkspaceGuard } from '../workspace/guard.ts'

/** A store of transcripts from which another machine can continue. */
export interface TranscriptStore {
  append(threadId: string, name: string, lines: readonly string[]): Promise<void>
  names(threadId: string): Promise<readonly string[]>
  read(threadId: string, name: string): Promise<readonly string[]>
}

export interface SessionMirrorOptions {
  store: TranscriptStore
  threadId: string
  /** Path of CLAUDE_CONFIG_DIR. */
  claudeState: string
}

/** Type of the entry in which the SDK passes the facts that Claude Code writes beside a subagent's transcript. */
const METADATA = 'agent_metadata'
const READ_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK
/** What is read of a stored entry. Its other members are Claude Code's own. */
const Entry = z.looseObject({
  type: z.string().optional().catch(undefined),
  uuid: z.string().optional().catch(undefined),
})
/** Form of a name: `<project>/<session>`, for a subagent `<project>/<session>/<path>`. */
const NAME = /^([^/]+)\/([^/]+)(?:\/(.+))?$/

/**
 * Mirrors one thread's Claude session: stores its transcript and those of its subagents as Claude Code writes them.
 * Restores the files on a machine that has lost them or never had them.
 */
export class SessionMirror {
  readonly #options: SessionMirrorOptions

  constructor(options: SessionMirrorOptions) {
    this.#options = options
  }

  /**
   * The SDK options that mirror a session. The SDK gets nothing to load: it would start Claude Code with a
   * configuration folder of its own. No sandbox shows that folder, and no task finds its output there. `restore` writes
   * the files instead.
   */
  get options(): Pick<Options, 'sessionStore' | 'sessionStoreFlush'> {
    const { store, threadId } = this.#options
    return {
      sessionStore: {
        append: (key, entries) =>
          store.append(
            threadId,
            nameOf(key),
            entries.map((entry) => JSON.stringify(entry)),
          ),
        load: async () => null,
      },
      // Flush at once: a runner may be killed at any moment.
      sessionStoreFlush: 'eager',
    }
  }

  /** Writes the session's files from the store, except those that already contain the store's last entry. */
  async restore(sessionId: string): Promise<void> {
    const { store, threadId } = this.#options
    for (const name of await store.names(threadId)) {
      const [, project, session, path] = NAME.exec(name) ?? []
      if (project === undefined || session !== sessionId || !isSafe(name)) continue
      await this.#restoreFile(
        await store.read(threadId, name),
        join(project, session, ...(path === undefined ? [] : [path])),
      )
    }
  }

  async #restoreFile(lines: readonly string[], path: string): Promise<void> {
    const stored = lines.map((line) => ({ line, entry: entryIn(line, path) }))
    const metadata = stored.findLast(({ entry }) => entry.type === METADATA)
    const entries = stored.filter(({ entry }) => entry.type !== METADATA)
    const last = entries.at(-1)
    // The agent can write here: neither a link nor a pipe of its making is followed or waited for.
    const guard = await WorkspaceGuard.open(this.#options.claudeState)
    const entry = await guard.resolveEntry(join('projects', path))
    // The agent's user, who may not be the runner's.
    const owner = await guard.foreignOwner()
    const folder = await guard.openFolder(entry.folder, { create: true })
    await folder.use(async () => {
      const transcript = `${entry.name}.jsonl`
      if (last !== undefined && !(await has(folder, transcript, last)))
        await folder.replaceFile(transcript, entries.map(({ line }) => `${line}\n`).join(''), owner)
      if (metadata === undefined) return
      const { type: _, ...facts } = metadata.entry
      await folder.replaceFile(`${entry.name}.meta.json`, JSON.stringify(facts), owner)
    })
  }
}

/** Returns the mirror of a thread's session. Undefined where sessions are not mirrored. */
export function mirrorOf(
  {
    transcripts: store,
    env,
  }: { transcripts: TranscriptStore | undefined; env: Readonly<Record<string, string>> },
  threadId: string,
): SessionMirror | undefined {
  const claudeState = env['CLAUDE_CONFIG_DIR']
  return store === undefined || claudeState === undefined
    ? undefined
    : new SessionMirror({ store, threadId, claudeState })
}

function nameOf({ projectKey, sessionId, subpath }: SessionKey): string {
  return [projectKey, sessionId, ...(subpath === undefined ? [] : [subpath])].join('/')
}

/** Whether a name stays inside its folder. Others can write to the store too. */
function isSafe(name: string): boolean {
  return !name
    .split(/[/\\]/)
    .some((part) => part === '' || part === '.' || part === '..' || part.includes('\0'))
}

interface StoredEntry {
  line: string
  entry: z.infer<typeof Entry>
}

/** @throws {RunnerError} `storage_damaged`. */
function entryIn(line: string, path: string): StoredEntry['entry'] {
  const { success, data } = Entry.safeParse(parseJson(line))
  if (success) return data
  const message = `The stored transcript "${path}" holds a line that is no entry of a session; delete the thread.`
  throw new RunnerError('storage_damaged', message)
}

/** Whether the file contains the entry. Compares ids, because the store may change the spacing. */
async function has(folder: Folder, name: string, { line, entry }: StoredEntry): Promise<boolean> {
  const text = await readIn(folder, name).catch(() => undefined)
  if (text === undefined) return false
  return text.includes(entry.uuid === undefined ? line : `"uuid":"${entry.uuid}"`)
}

async function readIn(folder: Folder, name: string): Promise<string> {
  const handle = await folder.openFile(name, READ_FLAGS)
  try {
    return await handle.readFile('utf8')
  } finally {
    await handle.close()
  }
}
