import type { ToolItem } from './model.ts'

export function newTool(id: string, placed: Pick<ToolItem, 'name' | 'holder' | 'key'>): ToolItem {
  return { kind: 'tool', rev: 0, id, ...placed, args: '', isOpen: true, isAsking: false, items: [] }
}
