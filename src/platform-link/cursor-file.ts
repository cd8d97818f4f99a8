import { constants } from 'node:fs'
import { isAbsolute, relative } from 'node:path'
import { z } from 'zod'
import { RunnerError, toMessage } from '../errors.ts'
import type { Folder } from '../workspace/folder.ts'
import { type WorkspaceEntry, WorkspaceGuard } from '../workspace/guard.ts'

const BYTES_MAX = 4096
const READ_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK

export interface CursorFileOptions {
  file: string
  workspace: string
  sessionId: string
  /** Whether the session goes on. The file must exist then: without it, earlier messages would be run again. */
  isResume: boolean
}

/**
 * The control plane's file with the seq of the last message that its runner has accepted (control-plane.md 1.6). It
 * lies in the workspace, where the agent writes too, so no link is followed on the way to it.
 */
export class CursorFile {
  readonly #place: { guard: WorkspaceGuard; entry: WorkspaceEntry }
  readonly #sessionId: string
  #seq: number

  private constructor(
    place: { guard: WorkspaceGuard; entry: WorkspaceEntry },
    { sessionId, seq }: { sessionId: string; seq: number },
  ) {
    this.#place = place
    this.#sessionId = sessionId
    this.#seq = seq
  }

  /** Opens the file, or creates it, and writes it once. @throws {RunnerError} `config_invalid` for a file that cannot be relied on. */
  static async open({ file, workspace, sessionId, isResume }: CursorFileOptions): Promise<CursorFile> {
    try {
      const place = await placeOf(file, workspace)
      const folder = await place.guard.openFolder(place.entry.folder, { create: true })
      const text = await folder.use(() => readCursor(folder, place.entry.name))
      if (text === undefined && isResume)
        throw new Error('it is not there, and IS_RESUME says that the session goes on')
      const seq = text === undefined ? 0 : seqIn(text, sessionId)
      const cursor = new CursorFile(place, { sessionId, seq })
      // A file that cannot be written would hold up each message after the first.
      await cursor.save(seq)
      return cursor
    } catch (error) {
      const message = `ACP_MESSAGE_CURSOR_FILE: ${toMessage(error)}. It says which messages were run already, so nothing is run without it.`
      throw new RunnerError('config_invalid', message)
    }
  }

  get seq(): number {
    return this.#seq
  }

  /** Writes the file atomically; resolves when it is on disk. */
  async save(seq: number): Promise<void> {
    const { guard, entry } = this.#place
    const folder = await guard.openFolder(entry.folder, { create: true })
    const cursor = { version: 1, session_id: this.#sessionId, last_seq: seq }
    await folder.use(() => folder.replaceFile(entry.name, JSON.stringify(cursor)))
    this.#seq = seq
  }
}

async function placeOf(
  file: string,
  workspace: string,
): Promise<{ guard: WorkspaceGuard; entry: WorkspaceEntry }> {
  const path = relative(workspace, file)
  if (!isAbsolute(file) || path === '' || path.startsWith('..'))
    throw new Error('it must lie inside WORKSPACE_PATH')
  const guard = await WorkspaceGuard.open(workspace)
  const entry = await guard.resolveEntry(path)
  const isPlain = (entry.folder === '' ? entry.name : `${entry.folder}/${entry.name}`) === path
  if (!isPlain) throw new Error('a link leads to it')
  return { guard, entry }
}

/** Returns undefined when there is no file. */
async function readCursor(folder: Folder, name: string): Promise<string | undefined> {
  const stats = await folder.lstat(name)
  if (stats === undefined) return undefined
  if (!stats.isFile()) throw new Error('it is a link, or no file')
  const handle = await folder.openFile(name, READ_FLAGS)
  try {
    const { size } = await handle.stat()
    if (size > BYTES_MAX) throw new Error(`it has more than ${BYTES_MAX} bytes`)
    return await handle.readFile('utf8')
  } finally {
    await handle.close()
  }
}

const Cursor = z.strictObject({
  version: z.literal(1),
  session_id: z.string(),
  last_seq: z.number().int().min(0),
})

function seqIn(text: string, sessionId: string): number {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new Error('it is no JSON')
  }
  const cursor = Cursor.safeParse(json)
  if (!cursor.success) throw new Error('it is not {"version": 1, "session_id": …, "last_seq": n}')
  if (cursor.data.session_id !== sessionId) throw new Error('it is another session’s')
  return cursor.data.last_seq
}
