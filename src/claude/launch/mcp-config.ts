import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { McpServerConfig } from '@anthropic-ai/claude-agent-sdk'
import { z } from 'zod'
import { hasErrno } from '../../errno.ts'
import { RunnerError, toMessage } from '../../errors.ts'
import { isObject } from '../../json.ts'

const strings = z.record(z.string(), z.string())

const common = {
  timeout: z.int().positive().exactOptional(),
  alwaysLoad: z.boolean().exactOptional(),
}

const remote = {
  ...common,
  url: z.string(),
  headers: strings.default({}),
  /** Command that prints further headers as JSON. */
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

/** The entries as Claude Code 2.1.329 and 2.1.332 accept them. They ignore every other field. */
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
  // The SDK passes it on, though its type omits it. Claude Code uses no proxy for a `ws:` address.
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
  /** Names of the variables that the file refers to as `${NAME}`. They are passed to Claude Code, which needs them. */
  variables: string[]
  /** Sentences about the parts of the file that have no effect, each with the server's name. */
  notes: string[]
}

/** Names that would replace a server of the runner's, or that Claude Code leaves out because it has its own. */
const RESERVED = /^(agui|ui_[0-9a-f]+|workspace|claude-in-chrome)$/

/** Shortest timeout of a server that Claude Code respects. For a shorter one it uses its own limit. */
const TIMEOUT_MS_MIN = 1000

/**
 * Reads the MCP servers of `PAYLOAD_MCP_CONFIG_FILE`, which has the form of an `.mcp.json`. No other file is read:
 * none in the workspace. An invalid server is left out and named in the notes; Claude Code would drop it in silence.
 *
 * @throws {RunnerError} `config_invalid` when the file cannot be read or is not an MCP configuration.
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
    // The parser's own message repeats a part of the file, which may hold a key.
    throw fail('it is not JSON')
  }
  const parsed = McpFile.safeParse(value)
  if (parsed.success) return parsed.data.mcpServers
  const names = isObject(value) ? Object.keys(value) : undefined
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

/** Names each problem by its place and kind. Leaves the values out, which may be secret. */
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
 * Removes Claude Code's list of the servers that refused it. Claude Code asks no listed server for 15 minutes, in any
 * thread and also after a restart. Without the list a new process asks all servers: the policy or a credential may
 * have changed.
 */
export async function forgetRefusals(claudeState: string): Promise<void> {
  await rm(join(claudeState, 'mcp-needs-auth-cache.json'), { force: true, recursive: true })
}

/** Reads the file. Undefined when it does not exist: a control plane also names a file that it does not write. */
async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined
    const message = `PAYLOAD_MCP_CONFIG_FILE (${file}) cannot be read: ${toMessage(error)}.`
    throw new RunnerError('config_invalid', message, { cause: error })
  }
}
