import { useEffect } from 'preact/hooks'

const OPEN = 'details.popover[open]'

/** Closes a popover by a press outside of it, and when the focus goes on from it. */
export function usePopovers(): void {
  useEffect(() => {
    const press = ({ target }: PointerEvent): void => {
      for (const popover of document.querySelectorAll(OPEN))
        if (!(target instanceof Node && popover.contains(target))) close(popover)
    }
    const leave = ({ target, relatedTarget: next }: FocusEvent): void => {
      const popover = target instanceof Element ? target.closest(OPEN) : null
      if (popover !== null && next instanceof Node && !popover.contains(next)) close(popover)
    }
    document.addEventListener('pointerdown', press)
    document.addEventListener('focusout', leave)
    return () => {
      document.removeEventListener('pointerdown', press)
      document.removeEventListener('focusout', leave)
    }
  }, [])
}

/** Closes the popover that is open and puts the focus on what opened it. Returns whether one was. */
export function closePopover(): boolean {
  const popover = document.querySelector(OPEN)
  if (popover === null) return false
  close(popover)
  popover.querySelector('summary')?.focus()
  return true
}

function close(popover: Element): void {
  if (popover instanceof HTMLDetailsElement) popover.open = false
}
