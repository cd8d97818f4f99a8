import { lstat, realpath } from 'node:fs/promises'
import { RunnerError } from '../errors.ts'
import { type OpenedFile, WorkspaceFiles } from '../workspace/files.ts'
import { WorkspaceGuard } from '../workspace/guard.ts'

export interface TaskOutputPlaces {
  /** Path of Claude Code's own temporary folder: `$TMPDIR/claude-<uid>`. */
  temporary: string
  /** Path of the folder of its transcripts: `$CLAUDE_CONFIG_DIR/projects`. */
  transcripts: string
  uid: number
}

/** Returns the folders to which a Claude Code with this environment writes the output of tasks. */
export function taskOutputPlaces({ env, inside }: WritingClaude): TaskOutputPlaces {
  const uid = inside?.uid ?? process.getuid?.() ?? -1
  const temporary = inside?.temporary ?? env['CLAUDE_CODE_TMPDIR'] ?? env['TMPDIR'] ?? '/tmp'
  const state = env['CLAUDE_CONFIG_DIR'] ?? `${env['HOME'] ?? ''}/.claude`
  return { temporary: `${temporary}/claude-${uid}`, transcripts: `${state}/projects`, uid }
}

interface WritingClaude {
  env: Readonly<Record<string, string>>
  /** Claude Code's user id and temporary folder where these are decided after its environment. */
  inside: Inside | undefined
}

export interface Inside {
  uid: number
  temporary: string
}

export interface TaskOutputRequest {
  taskId: string
  claudeSessionId: string
}

/** Most project folders that are searched; Claude Code has one for each working directory. */
const PROJECTS_MAX = 1000

/**
 * Opens what a task wrote, by its exact name in the folder of its own session:
 * `<project>/<session>/tasks/<task>.output`. For a subagent that is a link to its transcript,
 * `<project>/<session>/subagents/agent-<task>.jsonl`. Nothing is searched for by a part of its name, and no other file
 * is opened (peers.md 50).
 *
 * @throws {RunnerError} `not_found`, `output_not_allowed`.
 */
export async function openTaskOutput(
  places: TaskOutputPlaces,
  request: TaskOutputRequest,
): Promise<OpenedFile> {
  const files = await openPlace(places.temporary, places.uid)
  if (files === undefined) throw missing(request.taskId)
  try {
    const path = await findOutput(files, request)
    const { folder, name } = await files.guard.resolveEntry(path)
    const opened = await files.guard.openFolder(folder)
    const stats = await opened.use(() => opened.lstat(name))
    return stats?.isSymbolicLink() === true
      ? await openTranscript(places, request, `${files.guard.absolute(folder)}/${name}`)
      : await files.read(path)
  } catch (error) {
    if (!(error instanceof RunnerError) || error.code === 'output_not_allowed') throw error
    throw error.code === 'not_found' ? missing(request.taskId) : notAllowed()
  }
}

async function findOutput(
  files: WorkspaceFiles,
  { taskId, claudeSessionId }: TaskOutputRequest,
): Promise<string> {
  const end = `${claudeSessionId}/tasks/${taskId}.output`
  const { entries } = await files.list('')
  for (const { name, isDir } of entries.slice(0, PROJECTS_MAX)) {
    if (isDir && (await isThere(files, `${name}/${end}`))) return `${name}/${end}`
  }
  throw missing(taskId)
}

async function isThere(files: WorkspaceFiles, path: string): Promise<boolean> {
  try {
    const { folder, name } = await files.guard.resolveEntry(path)
    const opened = await files.guard.openFolder(folder)
    return (await opened.use(() => opened.lstat(name))) !== undefined
  } catch (error) {
    if (error instanceof RunnerError) return false
    throw error
  }
}

/** Opens the target of the link. The link may lead only to this session's own transcript of this task. */
async function openTranscript(
  places: TaskOutputPlaces,
  { taskId, claudeSessionId }: TaskOutputRequest,
  link: string,
): Promise<OpenedFile> {
  const files = await openPlace(places.transcripts, places.uid)
  const real = await realpath(link).catch(() => undefined)
  if (files === undefined || real === undefined) throw missing(taskId)
  if (!real.endsWith(`/${claudeSessionId}/subagents/agent-${taskId}.jsonl`)) throw notAllowed()
  return await files.read(real)
}

/** Returns undefined when the folder does not exist or has another owner: any user may create that name in `/tmp`. */
async function openPlace(path: string, uid: number): Promise<WorkspaceFiles | undefined> {
  const stats = await lstat(path).catch(() => undefined)
  if (stats?.isDirectory() !== true || stats.uid !== uid) return undefined
  return new WorkspaceFiles(await WorkspaceGuard.open(path))
}

function missing(taskId: string): RunnerError {
  return new RunnerError('not_found', `No output of task "${taskId}" is there.`)
}

function notAllowed(): RunnerError {
  return new RunnerError('output_not_allowed', "The task's output is not a file of this session's own.")
}
