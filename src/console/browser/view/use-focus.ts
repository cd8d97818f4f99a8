import { useEffect } from 'preact/hooks'

const CONTROL = 'button, a[href], summary, input, select, textarea'
/** What shrinks part by part, so the next control of it takes over from one that goes. */
const GROUP = 'ol, ul'

/** What has the focus, and what is to have it when that goes: the nearest control of its list, or a place of the page. */
interface Held {
  element: Element
  nearest: readonly Element[]
  place: 'prompt' | 'transcript'
}

/**
 * Keeps the focus in the page when what has it goes, is hidden, or is disabled for a while. Without it, those who have only
 * keys or a screen reader would stand at the top of the page again.
 */
export function useFocus(): void {
  useEffect(() => {
    let held: Held | undefined
    const remember = ({ target }: FocusEvent): void => {
      held = target instanceof Element ? heldBy(target) : undefined
    }
    // A press beside all controls takes the focus away, as everywhere.
    const forget = (): void => {
      held = undefined
    }
    const keep = (): void => {
      const focused = document.activeElement
      if (held === undefined || !document.hasFocus()) return
      // The browser takes the focus from a hidden element a moment later.
      if (focused !== document.body && (focused !== held.element || isShown(focused))) return
      if (isShown(held.element) && !isReady(held.element)) return
      const heir = [held.element, ...held.nearest].find((one) => isShown(one) && isReady(one))
      const next = heir ?? document.getElementById(held.place)
      if (next instanceof HTMLElement) next.focus({ preventScroll: true })
    }
    let timer: ReturnType<typeof setTimeout> | undefined
    const watch = new MutationObserver(() => {
      // A dialog that closes puts the focus back itself, and is not through yet.
      timer ??= setTimeout(() => {
        timer = undefined
        keep()
      })
    })
    const attributeFilter = ['disabled', 'hidden', 'open']
    watch.observe(document.body, { childList: true, subtree: true, attributeFilter })
    document.addEventListener('focusin', remember)
    document.addEventListener('pointerdown', forget)
    return () => {
      watch.disconnect()
      clearTimeout(timer)
      document.removeEventListener('focusin', remember)
      document.removeEventListener('pointerdown', forget)
    }
  }, [])
}

function heldBy(element: Element): Held {
  const controls = [...(element.closest(GROUP)?.querySelectorAll(CONTROL) ?? [])]
  const at = controls.indexOf(element)
  return {
    element,
    nearest: [...controls.slice(at + 1), ...controls.slice(0, Math.max(at, 0)).reverse()],
    place: element.closest('#composer') === null ? 'transcript' : 'prompt',
  }
}

/** Whether it is in the page, and nothing around it is hidden. */
function isShown(element: Element): boolean {
  return element.isConnected && element.checkVisibility()
}

function isReady(element: Element): boolean {
  return !element.matches(':disabled')
}
