import { Fragment, type VNode } from 'preact'
import { Modal } from './modal.tsx'

const KEYS: readonly (readonly [string, string])[] = [
  ['Enter', 'Send the prompt; Shift+Enter makes a new line'],
  ['Esc', 'Stop the run that is shown'],
  ['y', 'Allow what is asked'],
  ['a', 'Always allow it in this session'],
  ['n', 'Refuse'],
  ['c', 'New thread'],
  ['j / k', 'Next, previous thread'],
  ['/', 'Search threads'],
  ['f', 'Files of the workspace'],
  ['?', 'This list'],
]

export function KeyMap({ onClose }: { onClose(): void }): VNode {
  return (
    <Modal label="Keyboard" onClose={onClose}>
      <h3>Keyboard</h3>
      <dl class="keys">
        {KEYS.map(([key, does]) => (
          <Fragment key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{does}</dd>
          </Fragment>
        ))}
      </dl>
    </Modal>
  )
}
