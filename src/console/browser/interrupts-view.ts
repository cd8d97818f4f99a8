import type { ResumeEntry } from '@agui-runner/client'
import { button, make, setChildren, setText } from './dom.ts'
import { elicitationForm } from './elicitation-form.ts'
import { isObject } from './fields.ts'
import { argumentList } from './item-views.ts'
import type { Choice, Interrupt } from './thread-shapes.ts'

type Answer = Omit<ResumeEntry, 'interruptId'>
type Send = (answer: Answer) => void

/** What the thread waits for, each with its form; what is typed into one lives until it is answered. */
export class InterruptsView {
  readonly #section: HTMLElement
  readonly #answer: (entry: ResumeEntry) => Promise<void>
  readonly #cards = new Map<string, HTMLElement>()

  constructor(section: HTMLElement, answer: (entry: ResumeEntry) => Promise<void>) {
    this.#section = section
    this.#answer = answer
  }

  show(interrupts: readonly Interrupt[]): void {
    const ids = new Set(interrupts.map(({ id }) => id))
    for (const id of [...this.#cards.keys()]) if (!ids.has(id)) this.#cards.delete(id)
    for (const interrupt of interrupts)
      if (!this.#cards.has(interrupt.id)) this.#cards.set(interrupt.id, this.#card(interrupt))
    setChildren(this.#section, [...this.#cards.values()])
    this.#section.hidden = interrupts.length === 0
  }

  #card(interrupt: Interrupt): HTMLElement {
    const problem = make('p', { class: 'bad', attributes: { role: 'alert' } })
    const fields = make('fieldset', { class: 'bare' })
    const send: Send = (answer) => {
      fields.disabled = true
      setText(problem, '')
      this.#answer({ interruptId: interrupt.id, ...answer }).catch((error: unknown) => {
        fields.disabled = false
        setText(problem, error instanceof Error ? error.message : String(error))
      })
    }
    const title = make('h3', {}, titleOf(interrupt))
    fields.append(...formOf(interrupt, send))
    return make(
      'form',
      {
        class: 'interrupt',
        attributes: { 'aria-label': title.textContent ?? '' },
        on: { submit: (event) => event.preventDefault() },
      },
      title,
      interrupt.expiresAt === undefined
        ? undefined
        : make('p', { class: 'dim' }, `Counts as refused after ${interrupt.expiresAt}.`),
      fields,
      problem,
    )
  }
}

function formOf(interrupt: Interrupt, send: Send): HTMLElement[] {
  const { message, elicitation, choices } = interrupt
  if (elicitation !== undefined) return elicitationForm(message, elicitation, send)
  return choices.length > 0 ? questionForm(interrupt, send) : approvalForm(interrupt, send)
}

function titleOf({ reason, tool, elicitation }: Interrupt): string {
  if (elicitation !== undefined) return 'An MCP server asks'
  if (reason === 'input_required') return 'Claude Code asks'
  if (reason === 'confirmation') return 'A plan waits for your word'
  return tool === '' ? 'Waits for you' : `May ${tool} run?`
}

function approvalForm({ message, reason, input }: Interrupt, send: Send): HTMLElement[] {
  const edit = editor(input)
  const why = make('input', {
    attributes: { placeholder: 'Why not, or what to do instead (the model reads it)' },
  })
  why.setAttribute('aria-label', 'Reason of a refusal')
  const approve = (remember: boolean): void => {
    const editedArgs = edit.read()
    if (editedArgs === undefined) return
    const payload = { approved: true, ...(remember ? { remember } : {}), ...editedArgs }
    send({ status: 'resolved', payload })
  }
  const refuse = (): void => {
    const said = why.value.trim()
    send({ status: 'resolved', payload: { approved: false, ...(said === '' ? {} : { message: said }) } })
  }
  return [
    make('p', { class: 'said' }, message),
    ...(reason === 'confirmation' ? [] : [argumentList(input), edit.element]),
    make(
      'div',
      { class: 'row' },
      button('Approve', { class: 'primary', press: () => approve(false) }),
      ...(reason === 'confirmation'
        ? []
        : [
            button('Approve, and do not ask again', {
              title: 'For the like of it, in this session',
              press: () => approve(true),
            }),
          ]),
      button('Refuse', { class: 'danger', press: refuse }),
      why,
    ),
  ]
}

/** `read` gives nothing to add when nothing was changed, and `undefined` when what was typed is no JSON object. */
function editor(input: Readonly<Record<string, unknown>>): {
  element: HTMLElement
  read(): { editedArgs?: unknown } | undefined
} {
  const before = JSON.stringify(input, null, 2)
  const area = make('textarea', {
    attributes: { rows: '6', spellcheck: 'false', 'aria-label': 'Arguments as JSON' },
  })
  area.value = before
  const problem = make('p', { class: 'bad', attributes: { role: 'alert' } })
  return {
    element: make('details', {}, make('summary', {}, 'Edit the arguments'), area, problem),
    read() {
      setText(problem, '')
      if (area.value === before) return {}
      try {
        const editedArgs: unknown = JSON.parse(area.value)
        if (isObject(editedArgs)) return { editedArgs }
      } catch {
        // Told below, as whatever else is no object.
      }
      setText(problem, 'The arguments must be a JSON object.')
      area.focus()
      return undefined
    },
  }
}

function questionForm({ id, choices }: Interrupt, send: Send): HTMLElement[] {
  const groups = choices.map((choice, index) => ({ choice, ...questionGroup(choice, `${id}-${index}`) }))
  const problem = make('p', { class: 'bad', attributes: { role: 'alert' } })
  const answer = (): void => {
    const open = groups.find(({ read }) => read().length === 0)
    setText(problem, open === undefined ? '' : `Choose or write an answer to: ${open.choice.question}`)
    if (open !== undefined) return
    const answers = groups.map(({ choice, read }) => [
      choice.question,
      choice.isMultiple ? read() : read()[0],
    ])
    send({ status: 'resolved', payload: { answers: Object.fromEntries(answers) } })
  }
  return [
    ...groups.map(({ element }) => element),
    problem,
    make(
      'div',
      { class: 'row' },
      button('Answer', { class: 'primary', press: answer }),
      button('Dismiss', { press: () => send({ status: 'cancelled' }) }),
    ),
  ]
}

function questionGroup(
  { question, options, isMultiple }: Choice,
  name: string,
): { element: HTMLElement; read(): string[] } {
  const inputs = options.map(({ label, description }) => {
    const input = make('input', {
      attributes: { type: isMultiple ? 'checkbox' : 'radio', name, value: label },
    })
    const row = make(
      'label',
      { class: 'choice' },
      input,
      make('span', {}, make('b', {}, label), ' ', description),
    )
    return { input, row }
  })
  const own = make('input', {
    attributes: { placeholder: 'Or in your own words', 'aria-label': `${question}: own words` },
  })
  return {
    element: make('fieldset', {}, make('legend', {}, question), ...inputs.map(({ row }) => row), own),
    read() {
      const chosen = inputs.filter(({ input }) => input.checked).map(({ input }) => input.value)
      const words = own.value.trim()
      if (words === '') return chosen
      // One answer only: what was written counts more than what was clicked before.
      return isMultiple ? [...chosen, words] : [words]
    },
  }
}
