import { Fragment, type VNode } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

const KEYS: readonly (readonly [string, string])[] = [
  ['Enter', 'Send the prompt; Shift+Enter makes a new line'],
  ['Esc', 'Stop the run that is shown'],
  ['y', 'Allow what is asked'],
  ['a', 'Always allow it in this session'],
  ['n', 'Refuse'],
  ['c', 'New thread'],
  ['j / k', 'Next, previous thread'],
  ['/', 'Search threads'],
  ['?', 'This list'],
]

export function KeyMap({ isShown, onClose }: { isShown: boolean; onClose(): void }): VNode {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    if (isShown) dialog.current?.showModal()
  }, [isShown])
  return (
    <dialog ref={dialog} id="keys" aria-label="Keyboard" onClose={onClose}>
      <h3>Keyboard</h3>
      <dl>
        {KEYS.map(([key, does]) => (
          <Fragment key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{does}</dd>
          </Fragment>
        ))}
      </dl>
      <form method="dialog">
        <button>Close</button>
      </form>
    </dialog>
  )
}
