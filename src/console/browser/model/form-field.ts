// The fields of a form that an MCP server asks for. MCP describes it by a flat JSON Schema.
import { isObject, type Json, toList, toObject, toText } from './fields.ts'

interface FormOption {
  value: string
  label: string
}

export interface FormField {
  name: string
  title: string
  hint: string
  isRequired: boolean
  kind: 'select' | 'multiple' | 'checkbox' | 'number' | 'text' | 'email' | 'url' | 'date'
  options: readonly FormOption[]
  /** The default: chosen texts, a tick, or a text. */
  begin: readonly string[] | boolean | string
}

export function fieldsOf(schema: Json): FormField[] {
  const required = toList(schema['required'])
  return Object.entries(toObject(schema['properties'])).map(([name, value]) => {
    const property = toObject(value)
    const isRequired = required.includes(name)
    const title = `${toText(property['title']) ?? name}${isRequired ? ' *' : ''}`
    return { name, title, isRequired, hint: toText(property['description']) ?? '', ...shapeOfField(property) }
  })
}

/** The value that is sent for a field; undefined when nothing was given. */
export function givenValue(
  { kind, isRequired }: Pick<FormField, 'kind' | 'isRequired'>,
  given: readonly string[] | boolean | string,
): unknown {
  if (typeof given === 'boolean') return given
  if (kind === 'multiple') return given.length === 0 && !isRequired ? undefined : given
  const text = typeof given === 'string' ? given : (given[0] ?? '')
  if (text === '') return undefined
  return kind === 'number' ? Number(text) : text
}

const INPUTS: Readonly<Record<string, FormField['kind'] | undefined>> = {
  email: 'email',
  uri: 'url',
  date: 'date',
}

function shapeOfField(property: Json): Pick<FormField, 'kind' | 'options' | 'begin'> {
  const { type, default: begin } = property
  const options = optionsOf(type === 'array' ? toObject(property['items']) : property)
  if (options.length > 0) {
    const chosen = toList(Array.isArray(begin) ? begin : [begin]).flatMap((value) => toText(value) ?? [])
    return { kind: type === 'array' ? 'multiple' : 'select', options, begin: chosen }
  }
  if (type === 'boolean') return { kind: 'checkbox', options: [], begin: begin === true }
  const isNumber = type === 'number' || type === 'integer'
  const kind = isNumber ? 'number' : (INPUTS[toText(property['format']) ?? ''] ?? 'text')
  return { kind, options: [], begin: begin === undefined ? '' : String(begin) }
}

function optionsOf(property: Json): FormOption[] {
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
