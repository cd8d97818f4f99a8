import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { McpServerConfig } from '@anthropic-ai/claude-agent-sdk'
import { z } from 'zod'
import { RunnerError, toMessage } from '../../errors.ts'

const strings = z.record(z.string(), z.string())

const common = {
  timeout: z.int().positive().exactOptional(),
  alwaysLoad: z.boolean().exactOptional(),
}

const remote = {
  ...common,
  url: z.string(),
  headers: strings.default({}),
  /** A command that prints further headers as JSON. */
  headersHelper: z.string().exactOptional(),
  oauth: z
    .looseObject({
      clientId: z.string().exactOptional(),
      callbackPort: z.int().positive().exactOptional(),
      authServerMetadataUrl: z.url().startsWith('https://').exactOptional(),
      scopes: z.string().min(1).exactOptional(),
      xaa: z.boolean().exactOptional(),
    })
    .exactOptional(),
}

/** As Claude Code 2.1.329 and 2.1.332 take it; what else stands in it they take no notice of. */
const SERVERS = {
  stdio: z.object({
    ...common,
    type: z.literal('stdio').default('stdio'),
    command: z.string().min(1),
    args: z.array(z.string()).default([]),
    env: strings.default({}),
  }),
  http: z.object({
    ...remote,
    type: z.literal(['http', 'streamable-http']).transform(() => 'http' as const),
  }),
  sse: z.object({ ...remote, type: z.literal('sse') }),
  // The SDK hands it on, though its type leaves it out. Claude Code asks no proxy for a `ws:` address.
  ws: z
    .object({ ...remote, type: z.literal('ws') })
    .transform((server) => z.custom<McpServerConfig>().parse(server)),
}

const KINDS: Readonly<Record<string, keyof typeof SERVERS>> = {
  stdio: 'stdio',
  http: 'http',
  'streamable-http': 'http',
  sse: 'sse',
  ws: 'ws',
}

const McpFile = z.object({ mcpServers: z.record(z.string(), z.unknown()) })
const Entry = z.looseObject({ type: z.string().exactOptional() })

export interface McpConfig {
  servers: Record<string, McpServerConfig>
  /** Variables that the file refers to as `${NAME}`: Claude Code needs them, so they pass to it. */
  variables: string[]
  /** Sentences about what of the file has no effect, each with the server's name. */
  notes: string[]
}

/** A server of this name would stand in for one of ours, or is left out by Claude Code, which has its own. */
const RESERVED = /^(agui|ui_[0-9a-f]+|workspace|claude-in-chrome)$/

/** Claude Code goes by its own limit where a server's is shorter. */
const TIMEOUT_MS_MIN = 1000

/**
 * The MCP servers of `PAYLOAD_MCP_CONFIG_FILE`, in the form of an `.mcp.json`. The only ones there are: none is taken
 * from the workspace. A server that is not as it has to be is left out and named, as Claude Code does without a word.
 *
 * @throws {RunnerError} `config_invalid` when the file is not such a file.
 */
export async function loadMcpConfig(file: string | undefined): Promise<McpConfig> {
  const text = file === undefined ? undefined : await readIfThere(file)
  if (file === undefined || text === undefined) return { servers: {}, variables: [], notes: [] }
  const servers = new Map<string, McpServerConfig>()
  const notes: string[] = []
  for (const [name, entry] of Object.entries(readEntries(file, text))) {
    const read = readServer(name, entry)
    if ('problem' in read) notes.push(`The MCP server "${name}" is left out: ${read.problem}.`)
    else {
      servers.set(name, read.server)
      notes.push(...effectless(entry, read.server).map((what) => `Of the MCP server "${name}" ${what}.`))
    }
  }
  const references = text.matchAll(/\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-[^}]*)?\}/g)
  return {
    servers: Object.fromEntries(servers),
    variables: [...references].map(([, name]) => name ?? ''),
    notes,
  }
}

function readEntries(file: string, text: string): Record<string, unknown> {
  const fail = (problem: string): RunnerError =>
    new RunnerError(
      'config_invalid',
      `PAYLOAD_MCP_CONFIG_FILE (${file}) is not an MCP configuration: ${problem}.`,
    )
  let value: unknown
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch {
    // The parser's own words repeat a part of the file, and there may be a key in it.
    throw fail('it is not JSON')
  }
  const parsed = McpFile.safeParse(value)
  if (parsed.success) return parsed.data.mcpServers
  const names =
    typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : undefined
  if (names?.length === 0) return {}
  if (names?.includes('servers') === true && !names.includes('mcpServers'))
    throw fail('the servers stand under "servers"; Claude Code reads "mcpServers"')
  throw fail('it has to be an object with "mcpServers", which holds an object for each server by its name')
}

function readServer(name: string, entry: unknown): { server: McpServerConfig } | { problem: string } {
  if (RESERVED.test(name)) return { problem: 'its name is reserved' }
  const form = Entry.safeParse(entry)
  if (!form.success) return { problem: problemOf(form.error) }
  if (form.data.type === undefined && 'url' in form.data && !('command' in form.data))
    return { problem: 'it has a "url" but no "type"; add "type": "http" or "sse"' }
  const kind = KINDS[form.data.type ?? 'stdio']
  if (kind === undefined) return { problem: '"type" has to be one of stdio, http, streamable-http, sse, ws' }
  const parsed = SERVERS[kind].safeParse(entry)
  return parsed.success ? { server: parsed.data } : { problem: problemOf(parsed.error) }
}

/** By place and kind; without the values, which may be secret. */
function problemOf({ issues }: z.ZodError): string {
  return issues
    .map(({ path, message }) => `${path.length === 0 ? 'it' : path.map(String).join('.')}: ${message}`)
    .join('; ')
}

function effectless(entry: unknown, { timeout }: McpServerConfig): string[] {
  const hasFolder = typeof entry === 'object' && entry !== null && 'cwd' in entry
  return [
    ...(hasFolder ? ['"cwd" has no effect: Claude Code starts every server in the folder it works in'] : []),
    ...(timeout !== undefined && timeout < TIMEOUT_MS_MIN
      ? [`"timeout" has no effect: Claude Code takes none below ${TIMEOUT_MS_MIN} ms`]
      : []),
  ]
}

/**
 * Claude Code asks no server for 15 minutes that has refused it once, in no thread and after no restart, and keeps that in
 * this file. A process that starts asks them all: a policy or a credential may be another one since.
 */
export async function forgetRefusals(claudeState: string): Promise<void> {
  await rm(join(claudeState, 'mcp-needs-auth-cache.json'), { force: true, recursive: true })
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
