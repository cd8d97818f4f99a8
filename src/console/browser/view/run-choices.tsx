import type { VNode } from 'preact'

/** `forwardedProps.claude` of a run (docs/events.md); what is left out is as the runner has it. */
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
  /** Models that threads of this runner have. */
  models: readonly string[]
  switches: RunChoices
  onChange(switches: RunChoices): void
}

/** What the next run is started with; the runner refuses by name what it does not allow. */
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
