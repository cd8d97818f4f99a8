import type { VNode } from 'preact'

/** `forwardedProps.claude` of a run (docs/events.md). The runner's own setting holds for an absent member. */
export interface RunChoices {
  model?: string
  permissionMode?: string
}

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
  switches: RunChoices
  onChange(switches: RunChoices): void
}

/** Chooses the model and the permissions of the next run. The runner refuses by name what it does not allow. */
export function RunChoiceFields({ models, switches, onChange }: RunChoiceFieldsProps): VNode {
  const { model = '', permissionMode = '' } = switches
  const change = (name: keyof RunChoices, value: string): void => {
    const { [name]: _before, ...rest } = switches
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
