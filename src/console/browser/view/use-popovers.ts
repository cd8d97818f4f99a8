import { useEffect } from 'preact/hooks'

const OPEN = 'details.popover[open]'

/** Closes a popover by a press outside of it. */
export function usePopovers(): void {
  useEffect(() => {
    const press = ({ target }: PointerEvent): void => {
      for (const popover of document.querySelectorAll(OPEN))
        if (!(target instanceof Node && popover.contains(target))) close(popover)
    }
    document.addEventListener('pointerdown', press)
    return () => document.removeEventListener('pointerdown', press)
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
