// The platform's chat has no forms: it shows a question as text, and the person's next message is the answer.
import type { Interrupt, ResumeEntry } from '@ag-ui/core'
import { z } from 'zod'
import { type AskedOnce, callText, chosenOf, toAsked } from '../agui/asked.ts'

const YES =
  /^(?:y|yes|yep|yeah|ok|okay|sure|approved?|allow|accept|go ahead|do it|👍)(?:,? (?:please|thanks|thank you|go ahead|do it))?$/iu
const ALWAYS =
  /^(?:a|(?:yes,? |allow )?always(?: allow)?)(?:,? \(?(?:in|for) this session\)?)?(?:,? please)?$/i
const NO =
  /^(?:n|no|nope|nah|deny|decline|refuse|reject|cancel|stop|don[’']t|do not|👎)(?:,? (?:please|thanks|thank you))?$/iu
/** Marks around a word, as in the question itself, and punctuation behind it. */
const AROUND = /^[\s*_`"'“”‘’]+|[\s*_`"'“”‘’.!…]+$/g
/** Upper bound of the shown tool call, in characters; a file that is written may be long. */
const INPUT_CHARS = 2000

/** Schema of a form that an MCP server asks for (docs/events.md). */
const Form = z.object({
  properties: z.object({
    action: z.unknown(),
    content: z
      .object({ properties: z.record(z.string(), z.looseObject({ type: z.string().optional() })) })
      .optional(),
  }),
})

/** Returns the text of the first question; the others follow when it is answered. Empty when there is none. */
export function questionText([first, ...others]: readonly Interrupt[]): string {
  if (first === undefined) return ''
  const more = others.length === 0 ? '' : `\n\n(${others.length} more to answer behind this one.)`
  return `${wordsOf(toAsked(first), first)}${more}`
}

function wordsOf(asked: AskedOnce, interrupt: Interrupt): string {
  const { kind, message, choices } = asked
  switch (kind) {
    case 'call':
      return `${message}\n\n${codeOf(callText(asked, INPUT_CHARS))}\n\nAnswer **yes**, **always** (in this session), **no**, or what to do instead.`
    case 'plan':
      return `${message}\n\nAnswer **yes**, **no**, or what to do instead.`
    case 'questions': {
      const lists = choices.map(({ question, options }) => {
        const list = options.map(({ label, description }, index) => `${index + 1}. ${label}: ${description}`)
        return `${question}\n${list.join('\n')}`
      })
      const how =
        choices.length === 1
          ? 'Answer with a number or in your own words.'
          : 'Answer each in a line of its own, with a number or in your own words.'
      return `${lists.join('\n\n')}\n\n${how}`
    }
    case 'other': {
      const names = fieldsOf(interrupt)
      if (names === undefined) return `${message}\n\nAnswer **yes** or **no**.`
      const [only] = names
      if (only === undefined) return `${message}\n\nAnswer **yes**, or **no** to decline.`
      const how = names.length === 1 ? `with the ${only[0]}` : 'with a line `name: value` for each of them'
      const list = names.map(([name, type]) => `- ${name} (${type})`).join('\n')
      return `${message}\n\n${list}\n\nAnswer ${how}, or **no** to decline.`
    }
  }
}

/** Returns a person's text as the answer to the first question; nothing when there is no question. */
export function answersOf([first]: readonly Interrupt[], words: string): ResumeEntry[] {
  if (first === undefined) return []
  const said = words.trim()
  return [{ interruptId: first.id, status: 'resolved', payload: payloadOf(toAsked(first), first, said) }]
}

function payloadOf({ kind, choices }: AskedOnce, interrupt: Interrupt, said: string): unknown {
  if (kind === 'questions') return { answers: choicesOf(choices, said) }
  if (kind === 'other' && fieldsOf(interrupt) !== undefined) return formOf(fieldsOf(interrupt) ?? [], said)
  if (isSaid(YES, said)) return { approved: true }
  if (kind === 'call' && isSaid(ALWAYS, said)) return { approved: true, remember: true }
  return isSaid(NO, said) ? { approved: false } : { approved: false, message: said }
}

function isSaid(word: RegExp, said: string): boolean {
  return word.test(said.replace(AROUND, ''))
}

/** Takes one line for each question. A text with another number of lines is the answer to every question. */
function choicesOf(choices: AskedOnce['choices'], said: string): Record<string, string | string[]> {
  const lines = said.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]))
  const each = lines.length === choices.length ? lines : choices.map(() => said)
  return Object.fromEntries(
    choices.map((choice, index) => [choice.question, chosenOf(choice, each[index] ?? said)]),
  )
}

type Fields = readonly (readonly [name: string, type: string])[]

/** Returns undefined when the interrupt asks for no form. */
function fieldsOf({ responseSchema }: Interrupt): Fields | undefined {
  const form = Form.safeParse(responseSchema)
  if (!form.success || form.data.properties.action === undefined) return undefined
  const fields = Object.entries(form.data.properties.content?.properties ?? {})
  return fields.map(([name, { type = 'text' }]) => [name, type])
}

function formOf(fields: Fields, said: string): object {
  if (isSaid(NO, said)) return { action: 'decline' }
  const [only] = fields
  if (only === undefined) return isSaid(YES, said) ? { action: 'accept' } : { action: 'decline' }
  const given = fields.length === 1 ? [[...only, said] as const] : linesOf(fields, said)
  // Words that fill in nothing are not an agreement to an empty form.
  if (given.length === 0) return { action: 'decline' }
  const content = given.map(([name, type, value]) => [name, asType(type, value)])
  return { action: 'accept', content: Object.fromEntries(content) }
}

/** Reads lines `name: value`, also as items of a list. A name that the form lacks is kept, so that it is refused by name. */
function linesOf(
  fields: Fields,
  said: string,
): (readonly [name: string, type: string | undefined, value: string])[] {
  return said.split('\n').flatMap((line) => {
    const [, name = '', value = ''] = /^[\s*-]*([^:]+?)[\s*]*:[\s*]*(.*?)\s*$/.exec(line) ?? []
    if (name === '') return []
    const field = fields.find((one) => one[0].toLowerCase() === name.toLowerCase())
    return [[field?.[0] ?? name, field?.[1], value] as const]
  })
}

/** Converts a value to a field's type. A value that does not fit stays text; the server's schema refuses it by name. */
function asType(type: string | undefined, value: string): unknown {
  if ((type === 'number' || type === 'integer') && value !== '' && !Number.isNaN(Number(value)))
    return Number(value)
  if (type === 'boolean' && (isSaid(YES, value) || value === 'true')) return true
  if (type === 'boolean' && (isSaid(NO, value) || value === 'false')) return false
  if (type === 'array') return value.split(',').map((part) => part.trim())
  return value
}

/** Returns the text in a code fence, which is longer than any run of backticks in the text. */
function codeOf(text: string): string {
  const fence = '`'.repeat(Math.max(3, ...[...text.matchAll(/`+/g)].map(([run]) => run.length + 1)))
  return `${fence}\n${text}\n${fence}`
}
