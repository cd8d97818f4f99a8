import { type ComponentChild, h } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import type { Highlighted, highlight } from '../model/highlight.ts'

/** Characters. Longer code has no colours. */
const CHARS_MAX = 20_000

/** A file of its own beside this bundle, not a chunk of it: splitting would give both a third file to wait for. */
const ADDRESS = new URL('highlight.js', import.meta.url)

let highlighter: typeof highlight | undefined
let loading: Promise<void> | undefined

async function load(): Promise<void> {
  try {
    const loaded: { highlight: typeof highlight } = await import(ADDRESS.href)
    highlighter = loaded.highlight
  } catch {
    // Code is legible without colours; the next block that is drawn tries again.
    loading = undefined
  }
}

/** The code, in colours where its language is known and the highlighter is loaded. */
export function useHighlighted(
  code: string,
  language: string | null | undefined,
  isOpen: boolean,
): ComponentChild {
  const [isHere, setHere] = useState(highlighter !== undefined)
  const name = language?.toLowerCase() ?? ''
  const isWanted = !isOpen && name !== '' && code.length <= CHARS_MAX
  useEffect(() => {
    if (isHere || !isWanted) return
    loading ??= load()
    void loading.then(() => setHere(highlighter !== undefined))
  }, [isHere, isWanted])
  return useMemo(() => {
    if (!isWanted || !isHere) return code
    return highlighter?.(code, name)?.map(toNode) ?? code
  }, [code, name, isWanted, isHere])
}

function toNode(node: Highlighted): ComponentChild {
  if (node.type === 'text') return node.value
  if (node.type !== 'element') return null
  const names = node.properties['className']
  return h('span', { class: Array.isArray(names) ? names.join(' ') : '' }, node.children.map(toNode))
}
