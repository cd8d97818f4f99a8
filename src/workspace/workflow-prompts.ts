import { z } from 'zod'
import { RunnerError } from '../errors.ts'
import { parseJson } from '../json.ts'
import type { WorkspaceFiles } from './files.ts'

/** A workflow's prompts for the agent, from its `.ambient/ambient.json`. */
export interface WorkflowPrompts {
  /** The prompt that is sent when a session begins with the workflow. */
  startupPrompt?: string
  /** Text added to the system prompt while the workflow is active. */
  systemPrompt?: string
}

/** Upper bound of the file, and so of every prompt in it, in bytes. */
const FILE_BYTES_MAX = 256 * 1024

const text = z
  .string()
  .transform((words) => words.trim())
  .optional()
  .catch(undefined)
const AmbientFile = z.object({ startupPrompt: text, systemPrompt: text })

/**
 * Reads a workflow's prompts. Many workflows have no such file, and so no prompts. `problem` says why an existing file
 * was not used; it never quotes the file.
 */
export async function readWorkflowPrompts(
  files: WorkspaceFiles,
  folder: string,
): Promise<{ prompts: WorkflowPrompts; problem?: string }> {
  const path = `${folder}/.ambient/ambient.json`
  let content: string
  try {
    content = await files.readText(path, { bytesMax: FILE_BYTES_MAX })
  } catch (error) {
    if (!(error instanceof RunnerError)) throw error
    return error.code === 'not_found' ? { prompts: {} } : { prompts: {}, problem: error.message }
  }
  const parsed = AmbientFile.safeParse(parseJson(content))
  if (!parsed.success) return { prompts: {}, problem: `"${path}" is not a JSON object.` }
  const { startupPrompt, systemPrompt } = parsed.data
  return {
    prompts: {
      ...(startupPrompt ? { startupPrompt } : {}),
      ...(systemPrompt ? { systemPrompt } : {}),
    },
  }
}
