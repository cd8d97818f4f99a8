import { fetchBlob } from './api.ts'
import { button, make, setText } from './dom.ts'
import { isObject } from './fields.ts'
import { formatBytes, formatCount, splitFences, splitInlineCode, summarise } from './format.ts'
import { LongText } from './long-text.ts'
import type {
  Attachment,
  Item,
  NoticeItem,
  ReasoningItem,
  SubagentItem,
  TextItem,
  ToolItem,
} from './model.ts'

/** An element that shows one thing of the model and follows it. */
export interface View {
  readonly element: HTMLElement
  draw(): void
}

/** Items are only ever added, so a list's views stand in the same order. */
export class ItemList {
  readonly element: HTMLElement
  readonly #items: readonly Item[]
  readonly #shown: { view: View; rev: number }[] = []

  constructor(element: HTMLElement, items: readonly Item[]) {
    this.element = element
    this.#items = items
  }

  draw(): void {
    for (const [index, item] of this.#items.entries()) {
      const shown = this.#shown[index]
      if (shown?.rev === item.rev) continue
      const view = shown?.view ?? viewOf(item)
      view.draw()
      if (shown === undefined) this.element.append(view.element)
      this.#shown[index] = { view, rev: item.rev }
    }
  }
}

function viewOf(item: Item): View {
  switch (item.kind) {
    case 'text':
      return textView(item)
    case 'reasoning':
      return reasoningView(item)
    case 'tool':
      return new ToolView(item)
    case 'subagent':
      return subagentView(item)
    case 'notice':
      return noticeView(item)
  }
}

const WHO: Readonly<Record<string, string>> = { user: 'You', assistant: 'Claude Code' }

function textView(item: TextItem): View {
  const body = make('div', { class: 'body' })
  const attachments = make('div', {}, ...item.attachments.map(attachmentView))
  const retracted = make('p', { class: 'dim' })
  const element = make(
    'article',
    { class: `message ${item.role === 'user' ? 'user' : 'agent'}` },
    make(
      'h4',
      {},
      item.holder.kind === 'subagent' && item.role === 'assistant'
        ? 'Subagent'
        : (WHO[item.role] ?? item.role),
    ),
    body,
    attachments,
    retracted,
  )
  return {
    element,
    draw() {
      drawProse(body, item.text, item.isOpen)
      body.classList.toggle('open', item.isOpen)
      markRetracted(element, retracted, item.retracted)
    },
  }
}

/** While words come they are only added; what is complete gets its inline code. */
function drawProse(body: HTMLElement, text: string, isOpen: boolean): void {
  const blocks = splitFences(text)
  while (body.children.length > blocks.length) body.lastElementChild?.remove()
  for (const [index, block] of blocks.entries()) {
    const there = body.children[index]
    const tag = block.kind === 'code' ? 'pre' : 'p'
    const element = there?.localName === tag ? there : make(tag)
    if (there === undefined) body.append(element)
    else if (there !== element) there.replaceWith(element)
    if (block.kind === 'code' || isOpen) setText(element, block.text)
    else {
      const pieces = splitInlineCode(block.text)
      element.replaceChildren(...pieces.map((piece, at) => (at % 2 === 1 ? make('code', {}, piece) : piece)))
    }
  }
}

function attachmentView({ mimeType, url }: Attachment): HTMLElement {
  const name = make('span', { class: 'chip' }, mimeType)
  return url?.startsWith('/sessions/') === true ? make('p', {}, name, ' ', saveButton(url, 'Save')) : name
}

/** How long a browser has to take over what it saves. */
const SAVING_MS = 60_000

/** The token goes by a header, which no link sends. */
function saveButton(url: string, label: string): HTMLElement {
  const problem = make('span', { class: 'bad', attributes: { role: 'alert' } })
  const save = async (): Promise<void> => {
    const address = URL.createObjectURL(await fetchBlob(url))
    make('a', { attributes: { href: address, download: url.split('/').at(-1) ?? 'blob' } }).click()
    setTimeout(() => URL.revokeObjectURL(address), SAVING_MS)
  }
  const press = (): void => {
    save().catch((error: unknown) => setText(problem, String(error)))
  }
  return make('span', {}, button(label, { class: 'quiet', press }), ' ', problem)
}

function markRetracted(element: Element, note: Element, reason: string | undefined): void {
  element.classList.toggle('retracted', reason !== undefined)
  setText(note, reason === undefined ? '' : `Taken back by Claude Code: ${reason}`)
}

function reasoningView(item: ReasoningItem): View {
  const hint = make('span', { class: 'dim' })
  const body = make('div', { class: 'body' })
  const note = make('p', { class: 'dim' })
  const element = make('details', { class: 'reasoning' }, make('summary', {}, 'Reasoning ', hint), body, note)
  return {
    element,
    draw() {
      setText(body, item.text)
      const size = item.text === '' ? '' : formatCount(item.text.length, 'character')
      setText(hint, item.isOpen ? 'thinking…' : item.isEncrypted ? 'only the provider can read it' : size)
      element.classList.toggle('open', item.isOpen)
      markRetracted(element, note, item.retracted)
    },
  }
}

class ToolView implements View {
  readonly element: HTMLDetailsElement
  readonly #item: ToolItem
  readonly #about = make('code', { class: 'about' })
  readonly #state = make('span', { class: 'badge' })
  readonly #body = make('div', { class: 'body' })
  readonly #args = make('div', { class: 'args' })
  readonly #result = new LongText('Result')
  readonly #note = make('p', { class: 'dim' })
  readonly #rawArgs = new LongText('Arguments')
  readonly #children: ItemList
  #drawnArgs: string | undefined

  constructor(item: ToolItem) {
    this.#item = item
    this.#children = new ItemList(make('div', { class: 'nested' }), item.items)
    this.element = make(
      'details',
      { class: 'tool' },
      make('summary', {}, make('b', {}, item.name), this.#about, this.#state),
      this.#body,
    )
    this.element.open = true
    this.#body.append(this.#args, this.#children.element, this.#note)
  }

  draw(): void {
    const { result, isOpen, elapsedSeconds, retracted } = this.#item
    this.#drawArgs()
    this.#children.draw()
    const elapsed = elapsedSeconds === undefined ? '' : ` ${Math.round(elapsedSeconds)} s`
    const [word, kind] =
      result !== undefined
        ? result.isError
          ? ['failed', 'bad']
          : ['done', 'good']
        : [isOpen ? 'called…' : isRunning(this.#item) ? `running…${elapsed}` : 'no result yet', 'dim']
    setText(this.#state, word)
    this.#state.className = `badge ${kind}`
    this.element.classList.toggle('failed', result?.isError === true)
    this.#drawResult()
    markRetracted(this.element, this.#note, retracted)
  }

  #drawArgs(): void {
    const { args, isOpen, editedArgs } = this.#item
    const key = `${isOpen} ${args} ${JSON.stringify(editedArgs)}`
    if (key === this.#drawnArgs) return
    this.#drawnArgs = key
    const parsed = editedArgs ?? (isOpen ? undefined : parseArgs(args))
    if (parsed === undefined) {
      this.#rawArgs.set(args)
      this.#args.replaceChildren(this.#rawArgs.element)
      return
    }
    setText(this.#about, summarise(parsed))
    this.#args.replaceChildren(
      ...(editedArgs === undefined
        ? []
        : [make('p', { class: 'dim' }, 'Run with arguments that a person edited:')]),
      argumentList(parsed),
    )
  }

  #drawResult(): void {
    const { result } = this.#item
    if (result === undefined || this.#result.element.parentElement !== null) return
    this.#result.set(result.text === '' && result.attachments.length === 0 ? '(empty)' : result.text)
    const { blob } = result
    const size = blob?.bytes === undefined ? '' : ` (${formatBytes(blob.bytes)})`
    this.#body.insertBefore(
      make(
        'div',
        { class: 'result' },
        make('h5', {}, result.isError ? 'Error' : 'Result'),
        this.#result.element,
        ...result.attachments.map(attachmentView),
        blob === undefined
          ? undefined
          : make('p', {}, 'Cut here. ', saveButton(blob.url, `Save the whole${size}`)),
      ),
      this.#note,
    )
  }
}

function isRunning({ holder }: Item): boolean {
  return holder.kind === 'tool' ? isRunning(holder) : holder.state === 'running'
}

/** One row a member; a text as it reads, anything else as JSON. */
export function argumentList(args: Readonly<Record<string, unknown>>): HTMLElement {
  const rows = Object.entries(args).flatMap(([name, value]) => {
    const text = new LongText(name)
    text.set(typeof value === 'string' ? value : JSON.stringify(value, null, 2))
    return [make('dt', {}, name), make('dd', {}, text.element)]
  })
  return rows.length === 0 ? make('p', { class: 'dim' }, 'No arguments.') : make('dl', {}, ...rows)
}

function parseArgs(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    // Shown as it was streamed.
    return undefined
  }
}

const SUBAGENT_STATES = {
  running: ['working…', 'dim'],
  success: ['done', 'good'],
  suspended: ['goes on in the background', 'dim'],
  error: ['failed', 'bad'],
} as const

function subagentView(item: SubagentItem): View {
  const state = make('span', { class: 'badge' })
  const progress = make('p', { class: 'dim' })
  const failure = make('p', { class: 'bad' })
  const list = new ItemList(make('div', { class: 'items' }), item.items)
  const element = make(
    'details',
    { class: 'subagent' },
    make(
      'summary',
      {},
      make('b', {}, 'Subagent'),
      make('span', { class: 'about' }, `${item.name}: ${item.description}`),
      state,
    ),
    list.element,
    progress,
    failure,
  )
  element.open = true
  return {
    element,
    draw() {
      list.draw()
      const [word, kind] = SUBAGENT_STATES[item.state]
      const tokens = item.totalTokens === undefined ? '' : ` · ${formatCount(item.totalTokens, 'token')}`
      setText(state, `${word}${item.state === 'running' ? '' : tokens}`)
      state.className = `badge ${kind}`
      setText(progress, item.state === 'running' ? (item.progress ?? '') : '')
      setText(failure, item.error === undefined ? '' : `${item.error.code}: ${item.error.message}`)
    },
  }
}

function noticeView({ level, title, detail, value }: NoticeItem): View {
  const raw = new LongText('Event')
  const element = make(
    'details',
    { class: `notice ${level}` },
    make('summary', {}, make('b', {}, title), ' ', make('span', {}, detail)),
    raw.element,
  )
  return { element, draw: () => raw.set(JSON.stringify(value, null, 2) ?? '') }
}
