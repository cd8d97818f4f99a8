// What a tool call is for a person: an edit, a command, a file that was read. A tool that is not known by name, or has
// other arguments than expected, is shown as it came.
import { isObject, type Json, toList, toNumber, toObject, toText } from './fields.ts'
import type { ToolItem } from './model.ts'

export interface Edit {
  before: string
  after: string
}

export interface Todo {
  text: string
  state: 'pending' | 'in_progress' | 'completed'
}

type Shape =
  | { kind: 'edit'; path: string; edits: readonly Edit[] }
  | { kind: 'command'; command: string; about: string }
  | { kind: 'read'; path: string; lines: string }
  | { kind: 'search'; pattern: string; place: string }
  | { kind: 'todos'; todos: readonly Todo[] }
  | { kind: 'plan'; plan: string }
  | { kind: 'other'; about: string }

/** A shape, and the arguments that it does not show. None may be hidden from a person who answers for the call. */
export type ToolShape = Shape & { rest: Json }

/** The arguments that count: a person's edit, else the model's; undefined while those are not whole. */
export function argumentsOf({ args, isOpen, editedArgs }: ToolItem): Json | undefined {
  if (editedArgs !== undefined) return editedArgs
  if (isOpen) return undefined
  try {
    const value: unknown = JSON.parse(args)
    return isObject(value) ? value : undefined
  } catch {
    // Shown as it was streamed.
    return undefined
  }
}

export function toolShapeOf(tool: string, args: Json): ToolShape {
  const shape = Object.hasOwn(SHAPES, tool) ? SHAPES[tool]?.(args) : undefined
  if (shape === undefined) return { kind: 'other', about: aboutOf(args), rest: args }
  // A switch that is off is what one expects.
  const rest = Object.entries(shape.rest).filter(([, value]) => value !== false)
  return { ...shape, rest: Object.fromEntries(rest) }
}

type Read = (args: Json) => ToolShape | undefined

const SHAPES: Readonly<Record<string, Read | undefined>> = {
  Edit: ({ file_path: path, old_string, new_string, ...rest }) =>
    toEdit(path, [{ old_string, new_string }], rest),
  MultiEdit: ({ file_path: path, edits, ...rest }) => toEdit(path, toList(edits), rest),
  Write: ({ file_path: path, content, ...rest }) =>
    toEdit(path, [{ old_string: '', new_string: content }], rest),
  NotebookEdit: ({ notebook_path: path, new_source: source, ...rest }) =>
    toEdit(path, [{ old_string: '', new_string: source }], rest),
  Bash: ({ command: line, description, ...rest }) => {
    const [command, about = ''] = [toText(line), toText(description)]
    return command === undefined ? undefined : { kind: 'command', command, about, rest }
  },
  Read: ({ file_path: file, offset, limit, ...rest }) => {
    const path = toText(file)
    return path === undefined ? undefined : { kind: 'read', path, lines: linesOf(offset, limit), rest }
  },
  Grep: toSearch,
  Glob: toSearch,
  TodoWrite: ({ todos, ...rest }) =>
    Array.isArray(todos) ? { kind: 'todos', todos: todos.map(toObject).flatMap(toTodo), rest } : undefined,
  ExitPlanMode: ({ plan: text, ...rest }) => {
    const plan = toText(text)
    return plan === undefined ? undefined : { kind: 'plan', plan, rest }
  },
}

function toEdit(path: unknown, edits: readonly unknown[], given: Json): ToolShape | undefined {
  const name = toText(path)
  const changes = edits.map(toObject).flatMap((edit) => {
    const [before, after] = [toText(edit['old_string']), toText(edit['new_string'])]
    return before === undefined || after === undefined ? [] : [{ before, after }]
  })
  if (name === undefined || changes.length === 0 || changes.length < edits.length) return undefined
  const everywhere = edits.map(toObject).some((edit) => edit['replace_all'] === true)
  const rest = everywhere ? { ...given, replace_all: true } : given
  return { kind: 'edit', path: name, edits: changes, rest }
}

function toSearch({ pattern: words, path, glob, ...rest }: Json): ToolShape | undefined {
  const pattern = toText(words)
  if (pattern === undefined) return undefined
  const place = [toText(path), toText(glob)].filter((part) => part !== undefined).join(' · ')
  return { kind: 'search', pattern, place, rest }
}

function toTodo({ content, activeForm, status }: Json): Todo[] {
  const state = status === 'completed' || status === 'in_progress' ? status : 'pending'
  const text = toText(content) ?? toText(activeForm)
  return text === undefined ? [] : [{ text, state }]
}

function linesOf(offset: unknown, limit: unknown): string {
  const [first, count] = [toNumber(offset), toNumber(limit)]
  if (first === undefined && count === undefined) return ''
  const start = first ?? 1
  return count === undefined ? `from line ${start}` : `lines ${start}–${start + count - 1}`
}

/** The members that say in one line what a call is about, the most telling first. */
const TELLING = ['command', 'file_path', 'path', 'url', 'pattern', 'query', 'description', 'prompt']

function aboutOf(args: Json): string {
  for (const key of TELLING) {
    const value = args[key]
    if (typeof value === 'string' && value !== '') return value.split('\n')[0] ?? ''
  }
  return ''
}

/** One line that says what the call is about. */
export function summarise(shape: ToolShape): string {
  switch (shape.kind) {
    case 'edit':
      return shape.path
    case 'command':
      return shape.command.split('\n')[0] ?? ''
    case 'read':
      return shape.lines === '' ? shape.path : `${shape.path}, ${shape.lines}`
    case 'search':
      return shape.place === '' ? shape.pattern : `${shape.pattern} in ${shape.place}`
    case 'todos':
      return `${shape.todos.filter(({ state }) => state === 'completed').length} of ${shape.todos.length} done`
    case 'plan':
      return ''
    case 'other':
      return shape.about
  }
}

/** Characters of a line that the head of a call shows to its end. */
const HEAD_CHARS_MAX = 200

/** Whether what the line says is shown below it too, so that the line may be cut. */
export function isRepeated(shape: ToolShape): boolean {
  return shape.kind === 'command' || (shape.kind === 'other' && shape.about.length > HEAD_CHARS_MAX)
}

/** The name as people read it: a tool of an MCP server without the prefix, its server behind it. */
export function shownTool(tool: string): string {
  const [, server, name] = /^mcp__(.+?)__(.+)$/.exec(tool) ?? []
  return name === undefined ? tool : `${name} (${server})`
}

/** Splits the exit code off, which Claude Code puts in front of the output of a failed command. */
export function splitExitCode(output: string): { code: number | undefined; rest: string } {
  const [first, code] = /^Exit code (\d+)\n?/.exec(output) ?? []
  return first === undefined
    ? { code: undefined, rest: output }
    : { code: Number(code), rest: output.slice(first.length) }
}
