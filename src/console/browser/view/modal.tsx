import type { ComponentChildren, VNode } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

interface ModalProps {
  label: string
  isWide?: boolean
  /** The word on the button that closes it. */
  closing?: string
  onClose(): void
  children: ComponentChildren
}

/** A dialog in front of everything while it is drawn; the browser keeps the focus in it. */
export function Modal({ label, isWide = false, closing = 'Close', onClose, children }: ModalProps): VNode {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog ref={dialog} class={isWide ? 'wide-dialog' : ''} aria-label={label} onClose={onClose}>
      {children}
      <form method="dialog">
        <button type="submit">{closing}</button>
      </form>
    </dialog>
  )
}
