import type { VNode } from 'preact'
import { useId, useMemo, useState } from 'preact/hooks'
import { type FormField, fieldsOf, givenValue } from '../model/form-field.ts'
import type { ElicitationForm } from '../model/thread-shapes.ts'
import type { Send } from './ui.ts'

interface ElicitationCardProps {
  message: string
  asked: ElicitationForm
  send: Send
}

type Given = FormField['begin']

/** A form with a field for each property of the schema. The runner checks the answer. */
export function ElicitationCard({
  message,
  asked: { url, requestedSchema },
  send,
}: ElicitationCardProps): VNode {
  // Two servers may ask for a field of one name at the same time.
  const id = useId()
  const fields = useMemo(() => fieldsOf(requestedSchema), [requestedSchema])
  const [given, setGiven] = useState<Readonly<Record<string, Given>>>({})
  const givenFor = ({ name, begin }: FormField): Given => given[name] ?? begin
  const act = (action: string, more: object = {}): void =>
    send({ status: 'resolved', payload: { action, ...more } })
  const accept = (form: HTMLFormElement | null): void => {
    // The browser has no value for a text that is no number; without this check it would be left out.
    if (form?.reportValidity() === false) return
    const values = fields.map((field) => [field.name, givenValue(field, givenFor(field))])
    const content = Object.fromEntries(values.filter(([, value]) => value !== undefined))
    act('accept', url === undefined ? { content } : {})
  }
  const isSafe = url !== undefined && /^https?:\/\//i.test(url)
  return (
    <div>
      <p class="said">{message}</p>
      {isSafe && (
        <p>
          <a href={url} target="_blank" rel="noopener noreferrer">
            {url}
          </a>
        </p>
      )}
      {fields.map((field) => (
        <div key={field.name} class="choice field">
          <label for={`${id}-${field.name}`}>
            <b>{field.title}</b>
          </label>
          <Control
            id={`${id}-${field.name}`}
            field={field}
            given={givenFor(field)}
            onChange={(value) => setGiven({ ...given, [field.name]: value })}
          />
          {field.hint}
        </div>
      ))}
      <div class="row-of-buttons">
        <button type="button" class="primary" onClick={({ currentTarget }) => accept(currentTarget.form)}>
          {url === undefined ? 'Answer' : 'Done'}
        </button>
        <button type="button" class="danger" onClick={() => act('decline')}>
          Decline
        </button>
        <button type="button" onClick={() => act('cancel')}>
          Dismiss
        </button>
      </div>
    </div>
  )
}

interface ControlProps {
  id: string
  field: FormField
  given: Given
  onChange(given: Given): void
}

function Control({ id, field: { name, kind, options }, given, onChange }: ControlProps): VNode {
  const common = { name, id }
  if (kind === 'checkbox') {
    const isTicked = given === true
    return (
      <input
        {...common}
        type="checkbox"
        checked={isTicked}
        onChange={({ currentTarget }) => onChange(currentTarget.checked)}
      />
    )
  }
  if (kind === 'select' || kind === 'multiple') {
    const chosen = Array.isArray(given) ? given : []
    return (
      <select
        {...common}
        multiple={kind === 'multiple'}
        onChange={({ currentTarget }) =>
          onChange(
            [...currentTarget.selectedOptions].map(({ value }) => value).filter((value) => value !== ''),
          )
        }
      >
        {kind === 'select' && <option value="">–</option>}
        {options.map(({ value, label }) => (
          <option key={value} value={value} selected={chosen.includes(value)}>
            {label}
          </option>
        ))}
      </select>
    )
  }
  return (
    <input
      {...common}
      {...(kind === 'number' ? { step: 'any' } : {})}
      ref={(input) => {
        if (input !== null) input.type = kind
      }}
      value={String(given)}
      onInput={({ currentTarget }) => onChange(currentTarget.value)}
    />
  )
}
