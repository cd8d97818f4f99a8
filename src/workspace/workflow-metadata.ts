import { z } from 'zod'
import { RunnerError } from '../errors.ts'
import type { WorkspaceFiles } from './files.ts'
import { type ActiveWorkflow, WORKFLOWS_FOLDER } from './workflows.ts'

/** The switches that decide which parts of a workflow Claude Code uses. */
export interface WorkflowSwitches {
  settingSources: readonly string[]
  slashCommands: boolean
}

interface Offer {
  /** What is missing before it works: a route to call or a setting. Absent when it works. */
  needs?: string[]
}

interface WorkflowCommand extends Offer {
  id: string
  name: string
  description: string
  slashCommand: string
  icon: string
  order: number
}

interface WorkflowAgent extends Offer {
  id: string
  name: string
  description: string
  tools: string
}

interface WorkflowSkill extends Offer {
  id: string
  name: string
  description: string
  slashCommand: string
  allowedTools: string
  source: string
}

export interface WorkflowMetadata {
  commands: WorkflowCommand[]
  agents: WorkflowAgent[]
  skills: WorkflowSkill[]
  config: Record<string, unknown>
}

/** Upper bound of one description file, in bytes. A larger file counts as absent. */
const FILE_BYTES_MAX = 256 * 1024
/** Upper bound of entries read in one folder. */
const ITEMS_MAX = 500
/** The order of a command without one: it sorts after all others. */
const ORDER_LAST = 2 ** 31 - 1

const text = z.string().catch('').default('')
const AmbientConfig = z.object({
  name: text,
  description: text,
  systemPrompt: text,
  artifactsDir: text,
  rubric: z.unknown().optional(),
})

/** Reads commands, agents, skills and settings of the active workflow, or of one that is found when none was chosen. */
export async function readWorkflowMetadata(
  files: WorkspaceFiles,
  active: ActiveWorkflow | undefined,
  switches: WorkflowSwitches,
): Promise<WorkflowMetadata> {
  const name = active === undefined ? await findWorkflow(files) : active.name
  if (name === undefined) {
    return { commands: [], agents: [], skills: [], config: { artifactsDir: 'artifacts' } }
  }
  const folder = `${WORKFLOWS_FOLDER}/${name}`
  const { rubric, ...config } = await readConfig(files, `${folder}/.ambient/ambient.json`)
  const commands = await readItems(files, `${folder}/.claude/commands`, toCommand)
  commands.sort((a, b) => a.order - b.order || (a.id < b.id ? -1 : 1))
  const agents = await readItems(files, `${folder}/.claude/agents`, toAgent)
  const skills = await readSkills(files, `${folder}/.claude/skills`)
  const read = [
    ...(active === undefined ? ['POST /workflow'] : []),
    ...(switches.settingSources.includes('project') ? [] : ['CLAUDE_SETTING_SOURCES=project']),
  ]
  const sent = [...read, ...(switches.slashCommands ? [] : ['CLAUDE_SLASH_COMMANDS=true'])]
  return {
    commands: commands.map(marked(sent)),
    agents: agents.map(marked(read)),
    skills: skills.map(marked(sent)),
    config: rubric === undefined || rubric === null ? config : { ...config, rubric },
  }
}

function marked<T extends Offer>(needs: string[]): (offer: T) => T & Offer {
  return (offer) => (needs.length === 0 ? offer : { ...offer, needs })
}

/** Finds a workflow folder that an earlier process or the control plane put there. */
async function findWorkflow(files: WorkspaceFiles): Promise<string | undefined> {
  for (const { name, isDir } of await listed(files, WORKFLOWS_FOLDER)) {
    if (!isDir || name === 'default' || name.startsWith('.')) continue
    const inside = await listed(files, `${WORKFLOWS_FOLDER}/${name}`)
    if (inside.some((entry) => entry.name === '.claude' && entry.isDir)) return name
  }
  return undefined
}

async function readItems<T>(
  files: WorkspaceFiles,
  folder: string,
  toItem: (id: string, head: ReadonlyMap<string, string>) => T,
): Promise<T[]> {
  const items: T[] = []
  const entries = await listed(files, folder)
  for (const { name } of entries.filter((entry) => !entry.isDir && entry.name.endsWith('.md'))) {
    const head = await readHead(files, `${folder}/${name}`)
    items.push(toItem(name.slice(0, -'.md'.length), head))
  }
  return items
}

async function readSkills(files: WorkspaceFiles, folder: string): Promise<WorkflowSkill[]> {
  const skills: WorkflowSkill[] = []
  for (const { name: id } of (await listed(files, folder)).filter((entry) => entry.isDir)) {
    const content = await readIfThere(files, `${folder}/${id}/SKILL.md`)
    if (content === undefined) continue
    const head = parseHead(content)
    skills.push({
      id,
      name: head.get('name') ?? id,
      description: head.get('description') ?? '',
      slashCommand: `/${id}`,
      allowedTools: head.get('allowed-tools') ?? '',
      source: '',
    })
  }
  return skills
}

function toCommand(id: string, head: ReadonlyMap<string, string>): WorkflowCommand {
  const order = Number.parseInt(head.get('order') ?? '', 10)
  return {
    id,
    name: head.get('displayName') ?? id,
    description: head.get('description') ?? '',
    slashCommand: `/${id}`,
    icon: head.get('icon') ?? '',
    order: Number.isNaN(order) ? ORDER_LAST : order,
  }
}

function toAgent(id: string, head: ReadonlyMap<string, string>): WorkflowAgent {
  return {
    id,
    name: head.get('name') ?? '',
    description: head.get('description') ?? '',
    tools: head.get('tools') ?? '',
  }
}

async function readConfig(files: WorkspaceFiles, path: string): Promise<z.output<typeof AmbientConfig>> {
  const content = await readIfThere(files, path)
  let parsed: unknown
  try {
    parsed = JSON.parse(content ?? '{}')
  } catch {
    // The author's file is malformed; the rest of the workflow is still shown.
    parsed = {}
  }
  return AmbientConfig.safeParse(parsed).data ?? AmbientConfig.parse({})
}

async function readHead(files: WorkspaceFiles, path: string): Promise<ReadonlyMap<string, string>> {
  return parseHead((await readIfThere(files, path)) ?? '')
}

/** Parses the `key: value` lines between the first two `---`, not as YAML, but as the platform reads them. */
function parseHead(content: string): ReadonlyMap<string, string> {
  const head = new Map<string, string>()
  const end = content.indexOf('\n---', 4)
  if (!content.startsWith('---\n') || end < 0) return head
  for (const line of content.slice(4, end).split('\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) {
      head.set(
        line.slice(0, colon).trim(),
        line
          .slice(colon + 1)
          .trim()
          .replace(/^["']+|["']+$/g, ''),
      )
    }
  }
  return head
}

/** Returns undefined for a file that is absent, too large or outside the workspace: a workflow is not trusted. */
async function readIfThere(files: WorkspaceFiles, path: string): Promise<string | undefined> {
  try {
    return await files.readText(path, { bytesMax: FILE_BYTES_MAX })
  } catch (error) {
    if (error instanceof RunnerError) return undefined
    throw error
  }
}

async function listed(files: WorkspaceFiles, path: string): Promise<{ name: string; isDir: boolean }[]> {
  try {
    return (await files.list(path)).entries.slice(0, ITEMS_MAX)
  } catch (error) {
    if (error instanceof RunnerError) return []
    throw error
  }
}
