import { useEffect } from 'preact/hooks'

const NAME = 'found'

/** Marks the words wherever they are drawn in the element, and opens what is folded over them. */
export function useMarks(id: string, words: string): void {
  useEffect(() => {
    const root = document.getElementById(id)
    const wanted = words.trim().toLowerCase()
    if (root === null || wanted === '' || !('highlights' in CSS)) return undefined
    const mark = (): void => {
      const ranges = rangesOf(root, wanted)
      for (const { startContainer } of ranges) unfold(startContainer)
      CSS.highlights.set(NAME, new Highlight(...ranges))
    }
    // Rows come and go while somebody scrolls or a run goes on.
    const watch = new MutationObserver(mark)
    watch.observe(root, { childList: true, subtree: true, characterData: true })
    mark()
    return () => {
      watch.disconnect()
      CSS.highlights.delete(NAME)
    }
  }, [id, words])
}

function rangesOf(root: Node, wanted: string): StaticRange[] {
  const ranges: StaticRange[] = []
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT)
  for (let node = texts.nextNode(); node !== null; node = texts.nextNode()) {
    const text = (node.nodeValue ?? '').toLowerCase()
    for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
      // A letter may be longer in lower case.
      const end = Math.min(at + wanted.length, node.nodeValue?.length ?? 0)
      ranges.push(
        new StaticRange({ startContainer: node, startOffset: at, endContainer: node, endOffset: end }),
      )
    }
  }
  return ranges
}

function unfold(node: Node): void {
  const summary = node.parentElement?.closest('summary')
  const from = summary?.parentElement?.parentElement ?? node.parentElement
  const folded = from?.closest('details:not([open])')
  if (!(folded instanceof HTMLDetailsElement)) return
  folded.open = true
  unfold(folded)
}
