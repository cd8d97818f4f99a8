import { expect, test } from 'vitest'
import { countChanges, diffLines } from '../../src/console/browser/model/line-diff.ts'
import {
  shownTool,
  splitExitCode,
  summarise,
  toolShapeOf,
} from '../../src/console/browser/model/tool-shape.ts'

const edit = (before: string, after: string) => ({ old_string: before, new_string: after })

test.each([
  ['Edit', { file_path: 'a', ...edit('x', 'y') }, [{ before: 'x', after: 'y' }]],
  [
    'MultiEdit',
    { file_path: 'a', edits: [edit('1', '2'), edit('3', '4')] },
    [
      { before: '1', after: '2' },
      { before: '3', after: '4' },
    ],
  ],
  ['Write', { file_path: 'a', content: 'all' }, [{ before: '', after: 'all' }]],
])('%s is its edits', (tool, args, edits) => {
  expect(toolShapeOf(tool, args)).toEqual({ kind: 'edit', path: 'a', edits, rest: {} })
})

test.each([
  ['Bash', { command: 'x', run_in_background: true, dangerouslyDisableSandbox: true }],
  ['Edit', { file_path: 'a', ...edit('x', 'y'), replace_all: true }],
  ['MultiEdit', { file_path: 'a', edits: [edit('1', '2'), { ...edit('3', '4'), replace_all: true }] }],
  ['NotebookEdit', { notebook_path: 'a', new_source: '', edit_mode: 'delete', cell_id: '7' }],
  ['Grep', { pattern: 'x', '-A': 3 }],
  ['Read', { file_path: 'a', pages: '1-5' }],
  ['ExitPlanMode', { plan: '# Plan', allowedPrompts: ['all'] }],
])('%s hides no argument from whoever answers for it', (tool, args) => {
  const shape = toolShapeOf(tool, args)
  expect(shape.kind).not.toBe('other')
  const shown = JSON.stringify(shape)
  for (const member of [
    'run_in_background',
    'dangerouslyDisableSandbox',
    'replace_all',
    'edit_mode',
    '-A',
    'pages',
  ])
    expect(shown.includes(member), member).toBe(JSON.stringify(args).includes(member))
  expect(toolShapeOf(tool, { ...args, switched_off: false }).rest).toEqual(shape.rest)
})

test('a tool of an MCP server is named as people name it', () => {
  expect(['mcp__every__get-tiny__image', 'Bash', 'mcp__'].map(shownTool)).toEqual([
    'get-tiny__image (every)',
    'Bash',
    'mcp__',
  ])
})

test.each([
  ['Edit', { file_path: 7, ...edit('x', 'y') }],
  ['Edit', { file_path: 'a', old_string: 'x' }],
  ['MultiEdit', { file_path: 'a', edits: [edit('x', 'y'), { old_string: 'z' }] }],
  ['MultiEdit', { file_path: 'a', edits: 'none' }],
  ['Bash', { command: ['ls'] }],
  ['TodoWrite', { todos: 'all' }],
  ['toString', { file_path: 'a' }],
  ['mcp__somebody__Edit', { file_path: 'a', ...edit('x', 'y') }],
])('%s with other arguments than its name promises is shown as it came', (tool, args) => {
  expect(toolShapeOf(tool, args).kind).toBe('other')
})

test('the line of a call says what people look for', () => {
  const line = (tool: string, args: Record<string, unknown>): string => summarise(toolShapeOf(tool, args))
  expect(line('Bash', { command: 'ls\npwd' })).toBe('ls')
  expect(line('Read', { file_path: 'a', offset: 10, limit: 5 })).toBe('a, lines 10–14')
  expect(line('Grep', { pattern: 'x+', path: 'src', glob: '*.ts' })).toBe('x+ in src · *.ts')
  const todos = [{ content: 'a', status: 'completed' }, { content: 'b' }, 'odd', {}]
  expect(line('TodoWrite', { todos })).toBe('1 of 2 done')
  expect(line('mcp__x__y', { other: 1, url: 'http://x' })).toBe('http://x')
  expect(line('mcp__x__y', { other: 1 })).toBe('')
})

test('an edit is shown line by line, without what is far from a change', () => {
  const before = ['a', ...Array.from({ length: 20 }, (_, index) => `line ${index}`), 'z'].join('\n')
  const lines = diffLines({ before, after: before.replace('a\n', 'A\n').replace(/z$/, 'Z') })
  expect(lines.map(({ kind, text }) => `${kind} ${text}`)).toEqual([
    'removed a',
    'added A',
    ...['line 0', 'line 1', 'line 2'].map((text) => `same ${text}`),
    'skipped ⋯',
    ...['line 17', 'line 18', 'line 19'].map((text) => `same ${text}`),
    'removed z',
    'added Z',
  ])
  expect(countChanges(lines)).toEqual({ added: 2, removed: 2 })
})

test('nothing of an edit is lost, however little its sides have in common', () => {
  const side = (letter: string) => Array.from({ length: 5000 }, (_, index) => `${letter}${index}`).join('\n')
  expect(countChanges(diffLines({ before: side('a'), after: side('b') }))).toEqual({
    added: 5000,
    removed: 5000,
  })
  expect(diffLines({ before: 'x', after: '' })).toContainEqual({ kind: 'removed', text: 'x' })
  expect(diffLines({ before: '', after: '' })).toEqual([])
  expect(diffLines({ before: '', after: '+ a\n\n' })).toEqual([
    { kind: 'added', text: '+ a' },
    { kind: 'added', text: '' },
  ])
})

test('a failed command tells its exit code, and the rest is its output', () => {
  expect(splitExitCode('Exit code 3\ntotal 0')).toEqual({ code: 3, rest: 'total 0' })
  expect(splitExitCode('Exit code 1')).toEqual({ code: 1, rest: '' })
  expect(splitExitCode('said: Exit code 3')).toEqual({ code: undefined, rest: 'said: Exit code 3' })
})
