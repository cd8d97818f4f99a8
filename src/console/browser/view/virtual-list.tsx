import { type ComponentChild, Fragment, type VNode } from 'preact'
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'

/** The height of a row that has not been measured, in pixels. */
const ROW_PX = 64
/** So much is drawn above and below what is in sight, in pixels. */
const BEYOND_PX = 1200
/** A reader so near to the end, in pixels, is at the end and is kept there. */
const END_PX = 80

interface VirtualListProps<Row extends { key: string }> {
  rows: readonly Row[]
  draw(row: Row): ComponentChild
  /** The index of a row to scroll to. Another `turn` scrolls to it again. */
  target?: { index: number; turn: number } | undefined
  /** Another number scrolls to the end. */
  endTurn: number
}

/** A list of rows of any height. Only the rows in sight are in the page; a reader at the end is kept there. */
export function VirtualList<Row extends { key: string }>({
  rows,
  draw,
  target,
  endTurn,
}: VirtualListProps<Row>): VNode {
  const scroller = useRef<HTMLElement>(null)
  const heights = useRef(new Map<string, number>())
  const isAtEnd = useRef(true)
  const lastTop = useRef(0)
  const [, setTurn] = useState(0)
  const again = useCallback(() => setTurn((turn) => turn + 1), [])
  const toEnd = (): void => {
    isAtEnd.current = true
    again()
  }
  const observer = useMeasures(heights.current, again)

  const { clientHeight = 800 } = scroller.current ?? {}
  const total = rows.reduce((sum, { key }) => sum + (heights.current.get(key) ?? ROW_PX), 0)
  const top = isAtEnd.current ? Math.max(0, total - clientHeight) : (scroller.current?.scrollTop ?? 0)
  const { first, last, before, after } = windowOf(rows, heights.current, {
    from: top - BEYOND_PX,
    to: top + clientHeight + BEYOND_PX,
  })

  useLayoutEffect(() => {
    const element = scroller.current
    if (element !== null && isAtEnd.current) element.scrollTop = element.scrollHeight
  })
  useLayoutEffect(() => {
    const element = scroller.current
    if (element === null || target === undefined) return
    isAtEnd.current = false
    element.scrollTop = rows
      .slice(0, target.index)
      .reduce((sum, { key }) => sum + (heights.current.get(key) ?? ROW_PX), 0)
    again()
  }, [target?.turn, target?.index])
  useEffect(toEnd, [endTurn])
  useEffect(() => {
    const resized = new ResizeObserver(again)
    if (scroller.current !== null) resized.observe(scroller.current)
    return () => resized.disconnect()
  }, [])

  const scrolled = (): void => {
    const element = scroller.current
    if (element === null) return
    const { scrollHeight, scrollTop } = element
    if (scrollHeight - scrollTop - element.clientHeight < END_PX) isAtEnd.current = true
    else if (scrollTop < lastTop.current) isAtEnd.current = false
    lastTop.current = scrollTop
    again()
  }
  return (
    <Fragment>
      <section id="transcript" tabIndex={0} aria-label="Transcript" ref={scroller} onScroll={scrolled}>
        <div style={{ height: `${before}px` }} />
        {rows.slice(first, last).map((row) => (
          <div class="row" key={row.key} data-key={row.key} ref={(element) => observer(element)}>
            {draw(row)}
          </div>
        ))}
        <div style={{ height: `${after}px` }} />
      </section>
      <button type="button" id="to-end" hidden={isAtEnd.current} onClick={toEnd}>
        Newest ↓
      </button>
    </Fragment>
  )
}

/** Measures the rows that are drawn. Calls `onChange` when one has another height than was known. */
function useMeasures(heights: Map<string, number>, onChange: () => void): (element: Element | null) => void {
  const watch = useRef<ResizeObserver>(undefined)
  watch.current ??= new ResizeObserver((entries) => {
    let isChanged = false
    for (const { target, borderBoxSize } of entries) {
      const { key = '' } = target instanceof HTMLElement ? target.dataset : {}
      const height = borderBoxSize[0]?.blockSize ?? 0
      // A row that has left the page has no height; its last one is the best guess.
      if (!target.isConnected || heights.get(key) === height) continue
      heights.set(key, height)
      isChanged = true
    }
    if (isChanged) onChange()
  })
  useEffect(() => () => watch.current?.disconnect(), [])
  return useCallback((element: Element | null) => {
    if (element !== null) watch.current?.observe(element)
  }, [])
}

function windowOf(
  rows: readonly { key: string }[],
  heights: ReadonlyMap<string, number>,
  { from, to }: { from: number; to: number },
): { first: number; last: number; before: number; after: number } {
  let [at, first, last, before, after] = [0, 0, 0, 0, 0]
  for (const [index, { key }] of rows.entries()) {
    const height = heights.get(key) ?? ROW_PX
    if (at + height < from) {
      first = index + 1
      before += height
    } else if (at > to) {
      after += height
    } else {
      last = index + 1
    }
    at += height
  }
  return { first, last: Math.max(first, last), before, after }
}
