import type { Holder, Item } from './model.ts'
import { argumentsOf, type Edit, toolShapeOf } from './tool-shape.ts'
import { toolStateOf } from './tool-state.ts'

export interface ChangedFile {
  path: string
  edits: Edit[]
}

/** The thread's own edits by file, in the order of each file's first edit. Commands may have changed other files. */
export function changedFiles(holders: readonly Holder[]): ChangedFile[] {
  const files = new Map<string, ChangedFile>()
  const visit = (item: Item): void => {
    if ('items' in item) for (const held of item.items) visit(held)
    if (item.kind !== 'tool' || toolStateOf(item) !== 'done') return
    const args = argumentsOf(item)
    const shape = args === undefined ? undefined : toolShapeOf(item.name, args)
    if (shape?.kind !== 'edit') return
    const file = files.get(shape.path) ?? { path: shape.path, edits: [] }
    file.edits.push(...shape.edits)
    files.set(shape.path, file)
  }
  for (const holder of holders) for (const item of holder.items) visit(item)
  return [...files.values()]
}
