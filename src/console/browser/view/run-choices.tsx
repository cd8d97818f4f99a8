import type { VNode } from 'preact'
import type { RunChoices } from '../model/run-choices.ts'

const MODES: readonly (readonly [string, string])[] = [
  ['', 'Permissions: default'],
  ['ask', 'Ask for everything'],
  ['accept-edits', 'Accept edits'],
  ['plan', 'Plan only'],
  ['never-ask', 'Never ask'],
]

interface RunChoiceFieldsProps {
  /** The models of the runner's threads, as suggestions. */
  models: readonly string[]
  choices: RunChoices
  onChange(choices: RunChoices): void
}

/** Chooses the model and the permissions of the next run. The runner refuses by name what it does not allow. */
export function RunChoiceFields({ models, choices, onChange }: RunChoiceFieldsProps): VNode {
  const { model = '', permissionMode = '' } = choices
  const change = (name: keyof RunChoices, value: string): void => {
    const { [name]: _before, ...rest } = choices
    onChange(value.trim() === '' ? rest : { ...rest, [name]: value.trim() })
  }
  return (
    <span class="switches">
      <input
        list="models"
        aria-label="Model"
        placeholder="Model: default"
        value={model}
        onInput={({ currentTarget }) => change('model', currentTarget.value)}
      />
      <datalist id="models">
        {models.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <select
        aria-label="Permissions"
        value={permissionMode}
        onChange={({ currentTarget }) => change('permissionMode', currentTarget.value)}
      >
        {MODES.map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </select>
    </span>
  )
}
