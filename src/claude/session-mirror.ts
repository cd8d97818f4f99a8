import { chown, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Options, SessionKey, SessionStoreEntry } from '@anthropic-ai/claude-agent-sdk'

/** Where transcripts are kept that another machine can go on with. */
export interface TranscriptStore {
  append(threadId: string, name: string, lines: readonly string[]): Promise<void>
  names(threadId: string): Promise<readonly string[]>
  read(threadId: string, name: string): Promise<readonly string[]>
}

export interface SessionMirrorOptions {
  store: TranscriptStore
  threadId: string
  /** CLAUDE_CONFIG_DIR. */
  claudeState: string
}

/** What Claude Code writes of a subagent beside its transcript; the SDK hands it over as an entry of this type. */
const METADATA = 'agent_metadata'
/** A name is `<project>/<session>`, and of a subagent `<project>/<session>/<path>`. */
const NAME = /^([^/]+)\/([^/]+)(?:\/(.+))?$/

/**
 * One thread's Claude session in the store: its transcript and those of its subagents, as Claude Code writes them, and
 * back again where that one has no longer, or never had, the files.
 */
export class SessionMirror {
  readonly #options: SessionMirrorOptions

  constructor(options: SessionMirrorOptions) {
    this.#options = options
  }

  /**
   * The SDK is given nothing to load: it would start Claude Code on a configuration folder of its own, which no sandbox
   * shows and where no task finds its output. `restore` puts the files where they were.
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
      // A runner may be killed at any moment.
      sessionStoreFlush: 'eager',
    }
  }

  /** Makes the session's files what the store has, where they are not that, or more, already. */
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
    const file = join(this.#options.claudeState, 'projects', path)
    const metadata = lines.findLast((line) => typeOf(line) === METADATA)
    const entries = lines.filter((line) => typeOf(line) !== METADATA)
    const last = entries.at(-1)
    if (last !== undefined && !(await hasLine(`${file}.jsonl`, last)))
      await this.#write(`${file}.jsonl`, `${entries.join('\n')}\n`)
    if (metadata === undefined) return
    const { type: _, ...facts }: SessionStoreEntry = JSON.parse(metadata)
    await this.#write(`${file}.meta.json`, JSON.stringify(facts))
  }

  /** Whole or not at all, and of whoever owns the folder, who may be another user than the runner. */
  async #write(file: string, text: string): Promise<void> {
    const { uid, gid } = await stat(this.#options.claudeState)
    const made = await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    await writeFile(`${file}.new`, text, { mode: 0o600 })
    if (process.getuid?.() === 0) {
      await chown(`${file}.new`, uid, gid)
      for (
        let folder = dirname(file);
        made !== undefined && folder.startsWith(made);
        folder = dirname(folder)
      )
        await chown(folder, uid, gid)
    }
    await rename(`${file}.new`, file)
  }
}

/** Undefined where sessions are not mirrored. */
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

/** What comes out of a store that others can write leads nowhere else. */
function isSafe(name: string): boolean {
  return !name
    .split(/[/\\]/)
    .some((part) => part === '' || part === '.' || part === '..' || part.includes('\0'))
}

function typeOf(line: string): string {
  const entry: unknown = JSON.parse(line)
  return typeof entry === 'object' && entry !== null && 'type' in entry ? String(entry.type) : ''
}

/** The store may have spaced it in another way: an entry is known by its id. */
async function hasLine(file: string, line: string): Promise<boolean> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return false
  const entry: SessionStoreEntry = JSON.parse(line)
  return text.includes(entry.uuid === undefined ? line : `"uuid":"${entry.uuid}"`)
}
