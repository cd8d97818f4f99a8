import type { RefObject } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { closePopover } from './use-popovers.ts'

/**
 * Binds keys of the whole page, by `KeyboardEvent.key`. While somebody types only Escape counts, and it does first what it
 * does everywhere: it closes what is open and empties a field of a search.
 */
export function useKeys(
  keys: Readonly<Record<string, () => void>>,
  isMeant: (event: KeyboardEvent) => boolean = () => true,
): void {
  const current = useRef({ keys, isMeant })
  current.current = { keys, isMeant }
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing)
        return
      if (document.querySelector('dialog[open]') !== null) return
      if (event.key === 'Escape' ? isOwnEscape(event) : isTyping(event.target)) return
      const act = current.current.keys[event.key]
      if (act === undefined || !current.current.isMeant(event)) return
      event.preventDefault()
      act()
    }
    document.addEventListener('keydown', press)
    return () => document.removeEventListener('keydown', press)
  }, [])
}

/** Milliseconds that a card is in sight before keys count for it. A key that comes sooner was meant for what was there before. */
const SEEN_MS_MIN = 400

/**
 * Binds keys to the card that holds `inside`: they count when the focus is in that card, or when it is the first one.
 * Returns whether they do so already.
 */
export function useCardKeys(
  inside: RefObject<HTMLElement | null>,
  keys: Readonly<Record<string, () => void>>,
): boolean {
  const [isSeen, setSeen] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setSeen(true), SEEN_MS_MIN)
    return () => clearTimeout(timer)
  }, [])
  useKeys(isSeen ? keys : {}, ({ target, repeat }) => {
    // A key that is held down has answered the card of before.
    if (repeat) return false
    const card = (target instanceof Element ? target.closest(CARD) : null) ?? document.querySelector(CARD)
    return card?.contains(inside.current) === true
  })
  return isSeen
}

const CARD = '.interrupt'

/** Lets a key that is held down press one button: the next one that gets the focus was not meant. */
export function useSinglePress(): void {
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.repeat && event.key === 'Enter' && event.target instanceof HTMLButtonElement)
        event.preventDefault()
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
