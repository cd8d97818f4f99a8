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

export type ToolShape =
  | { kind: 'edit'; path: string; edits: readonly Edit[] }
  | { kind: 'command'; command: string; about: string }
  | { kind: 'read'; path: string; lines: string }
  | { kind: 'search'; pattern: string; place: string }
  | { kind: 'todos'; todos: readonly Todo[] }
  | { kind: 'other'; about: string }

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
  const read = Object.hasOwn(SHAPES, tool) ? SHAPES[tool] : undefined
  return read?.(args) ?? { kind: 'other', about: aboutOf(args) }
}

type Read = (args: Json) => ToolShape | undefined

const SHAPES: Readonly<Record<string, Read | undefined>> = {
  Edit: ({ file_path: path, ...args }) => toEdit(path, [args]),
  MultiEdit: ({ file_path: path, edits }) => toEdit(path, toList(edits)),
  Write: ({ file_path: path, content }) => toEdit(path, [{ old_string: '', new_string: content }]),
  NotebookEdit: ({ notebook_path: path, new_source: source }) =>
    toEdit(path, [{ old_string: '', new_string: source }]),
  Bash: ({ command, description }) => {
    const line = toText(command)
    return line === undefined
      ? undefined
      : { kind: 'command', command: line, about: toText(description) ?? '' }
  },
  Read: ({ file_path: path, offset, limit }) => {
    const name = toText(path)
    return name === undefined ? undefined : { kind: 'read', path: name, lines: linesOf(offset, limit) }
  },
  Grep: toSearch,
  Glob: toSearch,
  TodoWrite: ({ todos }) =>
    Array.isArray(todos) ? { kind: 'todos', todos: todos.map(toObject).map(toTodo) } : undefined,
}

function toEdit(path: unknown, edits: readonly unknown[]): ToolShape | undefined {
  const name = toText(path)
  const changes = edits.map(toObject).flatMap((edit) => {
    const [before, after] = [toText(edit['old_string']), toText(edit['new_string'])]
    return before === undefined || after === undefined ? [] : [{ before, after }]
  })
  if (name === undefined || changes.length === 0 || changes.length < edits.length) return undefined
  return { kind: 'edit', path: name, edits: changes }
}

function toSearch({ pattern, path, glob }: Json): ToolShape | undefined {
  const words = toText(pattern)
  if (words === undefined) return undefined
  const place = [toText(path), toText(glob)].filter((part) => part !== undefined).join(' · ')
  return { kind: 'search', pattern: words, place }
}

function toTodo({ content, activeForm, status }: Json): Todo {
  const state = status === 'completed' || status === 'in_progress' ? status : 'pending'
  return { text: toText(content) ?? toText(activeForm) ?? '', state }
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
    case 'other':
      return shape.about
  }
}

/** Splits the exit code off, which Claude Code puts in front of the output of a failed command. */
export function splitExitCode(output: string): { code: number | undefined; rest: string } {
  const [first, code] = /^Exit code (\d+)\n?/.exec(output) ?? []
  return first === undefined
    ? { code: undefined, rest: output }
    : { code: Number(code), rest: output.slice(first.length) }
}
