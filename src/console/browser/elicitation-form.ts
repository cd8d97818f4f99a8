import { button, make } from './dom.ts'
import { isObject, type Json, toList, toObject, toText } from './fields.ts'

/** What an MCP server asks, as its interrupt tells it. */
export interface ElicitationAsked {
  url: string | undefined
  requestedSchema: Json
}

export function readElicitation(elicitation: unknown): ElicitationAsked | undefined {
  if (!isObject(elicitation)) return undefined
  return { url: toText(elicitation['url']), requestedSchema: toObject(elicitation['requestedSchema']) }
}

interface Field {
  element: HTMLElement
  /** `undefined` when nothing was given. */
  read(): unknown
}

/** A field for each property of the schema, which MCP keeps flat; the runner holds the answer to the schema. */
export function elicitationForm(
  message: string,
  { url, requestedSchema }: ElicitationAsked,
  send: (answer: { status: 'resolved'; payload: unknown }) => void,
): HTMLElement[] {
  const required = toList(requestedSchema['required'])
  const fields = Object.entries(toObject(requestedSchema['properties'])).map(([name, property]) => ({
    name,
    ...toField(name, toObject(property), required.includes(name)),
  }))
  const act = (action: string, more: object = {}): void =>
    send({ status: 'resolved', payload: { action, ...more } })
  const accept = (): void => {
    const given = fields.map(({ name, read }) => [name, read()]).filter(([, value]) => value !== undefined)
    act('accept', url === undefined ? { content: Object.fromEntries(given) } : {})
  }
  const isSafe = url !== undefined && /^https?:\/\//i.test(url)
  const link = isSafe
    ? make('a', { attributes: { href: url, target: '_blank', rel: 'noopener noreferrer' } }, url)
    : undefined
  return [
    make('p', { class: 'said' }, message),
    ...(link === undefined ? [] : [make('p', {}, link)]),
    ...fields.map(({ element }) => element),
    make(
      'div',
      { class: 'row' },
      button(url === undefined ? 'Answer' : 'Done', { class: 'primary', press: accept }),
      button('Decline', { class: 'danger', press: () => act('decline') }),
      button('Dismiss', { press: () => act('cancel') }),
    ),
  ]
}

function toField(name: string, property: Json, isRequired: boolean): Field {
  const title = `${toText(property['title']) ?? name}${isRequired ? ' *' : ''}`
  const { control, read } = toControl(property)
  control.setAttribute('name', name)
  control.setAttribute('aria-label', title)
  const hint = toText(property['description'])
  const element = make('label', { class: 'choice' }, make('b', {}, title), control, hint ?? '')
  return { element, read }
}

function toControl(property: Json): { control: HTMLElement; read(): unknown } {
  const { type, default: begin } = property
  const options = optionsOf(type === 'array' ? toObject(property['items']) : property)
  if (options.length > 0)
    return toSelect(options, toList(Array.isArray(begin) ? begin : [begin]), type === 'array')
  if (type === 'boolean') {
    const box = make('input', { attributes: { type: 'checkbox' } })
    box.checked = begin === true
    return { control: box, read: () => box.checked }
  }
  const isNumber = type === 'number' || type === 'integer'
  const kind = isNumber ? 'number' : (INPUTS[toText(property['format']) ?? ''] ?? 'text')
  const input = make('input', { attributes: { type: kind, ...(isNumber ? { step: 'any' } : {}) } })
  input.value = begin === undefined ? '' : String(begin)
  const value = (): unknown => (isNumber ? Number(input.value) : input.value)
  return { control: input, read: () => (input.value === '' ? undefined : value()) }
}

const INPUTS: Readonly<Record<string, string>> = { email: 'email', uri: 'url', date: 'date' }

function toSelect(
  options: readonly { value: string; label: string }[],
  begin: readonly unknown[],
  isMultiple: boolean,
): { control: HTMLElement; read(): unknown } {
  const none = isMultiple ? [] : [make('option', { attributes: { value: '' } }, '–')]
  const rows = options.map(({ value, label }) => make('option', { attributes: { value } }, label))
  const select = make('select', {}, ...none, ...rows)
  select.multiple = isMultiple
  for (const row of rows) row.selected = begin.includes(row.value)
  const chosen = (): string[] => rows.filter((row) => row.selected).map((row) => row.value)
  return { control: select, read: () => (isMultiple ? chosen() : chosen()[0]) }
}

function optionsOf(property: Json): { value: string; label: string }[] {
  const titled = [...toList(property['oneOf']), ...toList(property['anyOf'])].filter(isObject)
  const names = toList(property['enumNames'])
  return [
    ...toList(property['enum']).map((value, at) => ({
      value: String(value),
      label: toText(names[at]) ?? String(value),
    })),
    ...titled.map(({ const: value, title }) => ({
      value: String(value),
      label: toText(title) ?? String(value),
    })),
  ]
}
