import { useEffect, useRef } from 'preact/hooks'
import { closePopover } from './use-popovers.ts'

/**
 * Binds keys of the whole page, by `KeyboardEvent.key`. While somebody types only Escape counts, and it does first what it
 * does everywhere: it closes what is open and empties a field of a search.
 */
export function useKeys(keys: Readonly<Record<string, () => void>>): void {
  const current = useRef(keys)
  current.current = keys
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing)
        return
      if (document.querySelector('dialog[open]') !== null) return
      if (event.key === 'Escape' ? isOwnEscape(event) : isTyping(event.target)) return
      const act = current.current[event.key]
      if (act === undefined) return
      event.preventDefault()
      act()
    }
    document.addEventListener('keydown', press)
    return () => document.removeEventListener('keydown', press)
  }, [])
}

function isOwnEscape(event: KeyboardEvent): boolean {
  if (closePopover()) event.preventDefault()
  const { defaultPrevented, target } = event
  return defaultPrevented || (target instanceof HTMLInputElement && target.type === 'search')
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLTextAreaElement ||
    target instanceof HTMLSelectElement ||
    (target instanceof HTMLInputElement && !['checkbox', 'radio'].includes(target.type))
  )
}
