import { readFile } from 'node:fs/promises'
import type { McpServerConfig } from '@anthropic-ai/claude-agent-sdk'
import { z } from 'zod'
import { RunnerError, toMessage } from '../../errors.ts'

const strings = z.record(z.string(), z.string())

const Server = z.union([
  z.object({
    type: z.literal('stdio').default('stdio'),
    command: z.string(),
    args: z.array(z.string()).default([]),
    env: strings.default({}),
  }),
  z.object({ type: z.enum(['http', 'sse']), url: z.string(), headers: strings.default({}) }),
])

const McpFile = z.object({ mcpServers: z.record(z.string(), Server).default({}) })

export interface McpConfig {
  servers: Record<string, McpServerConfig>
  /** Variables that the file refers to as `${NAME}`: Claude Code needs them, so they pass to it. */
  variables: string[]
}

/** A server of this name would stand in for one of ours. */
const RESERVED = /^(agui|ui_[0-9a-f]+)$/

/**
 * The MCP servers of `PAYLOAD_MCP_CONFIG_FILE`, in the form of an `.mcp.json`. The only ones there are: none is taken
 * from the workspace.
 *
 * @throws {RunnerError} `config_invalid` when the file is not such a file.
 */
export async function loadMcpConfig(file: string | undefined): Promise<McpConfig> {
  const text = file === undefined ? undefined : await readIfThere(file)
  if (text === undefined) return { servers: {}, variables: [] }
  const parsed = McpFile.safeParse(parseJson(text))
  const problem = parsed.success
    ? Object.keys(parsed.data.mcpServers).find((name) => RESERVED.test(name))
    : parsed.error.issues.map((issue) => `${issue.path.map(String).join('.')}: ${issue.message}`).join('; ')
  if (!parsed.success || problem !== undefined) {
    throw new RunnerError(
      'config_invalid',
      `PAYLOAD_MCP_CONFIG_FILE (${file}) is not an MCP configuration: ${problem}.`,
    )
  }
  const variables = [...text.matchAll(/\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-[^}]*)?\}/g)].map(
    ([, name]) => name ?? '',
  )
  return { servers: parsed.data.mcpServers, variables }
}

/** A control plane names the file also when it has nothing to put there. */
async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    const message = `PAYLOAD_MCP_CONFIG_FILE (${file}) cannot be read: ${toMessage(error)}.`
    throw new RunnerError('config_invalid', message, { cause: error })
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
