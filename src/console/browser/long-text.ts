import { button, make, setText } from './dom.ts'
import { formatCount } from './format.ts'

const LINES_MAX = 14
const CHARS_MAX = 2000

/** Text of a tool: cut to a glance, with a button for the rest. */
export class LongText {
  readonly element = make('div', { class: 'long' })
  readonly #pre = make('pre', { attributes: { role: 'group' } })
  readonly #toggle = button('', {
    class: 'quiet',
    press: () => {
      this.#isWhole = !this.#isWhole
      this.#draw()
    },
  })
  #text = ''
  #isWhole = false

  constructor(label: string) {
    this.#pre.setAttribute('aria-label', label)
    this.element.append(this.#pre)
  }

  set(text: string): void {
    if (text === this.#text) return
    this.#text = text
    this.#draw()
  }

  #draw(): void {
    const glance = glanceOf(this.#text)
    const isLong = glance.length < this.#text.length
    setText(this.#pre, this.#isWhole ? this.#text : glance)
    // The whole may scroll within itself, and the keyboard must get there.
    this.#pre.tabIndex = this.#isWhole ? 0 : -1
    this.#pre.classList.toggle('cut', isLong && !this.#isWhole)
    this.#toggle.setAttribute('aria-expanded', String(this.#isWhole))
    if (!isLong) {
      this.#toggle.remove()
      return
    }
    const size = formatCount(this.#text.split('\n').length, 'line')
    setText(
      this.#toggle,
      this.#isWhole ? 'Show less' : `Show all (${size}, ${formatCount(this.#text.length, 'character')})`,
    )
    if (this.#toggle.parentElement === null) this.element.append(this.#toggle)
  }
}

function glanceOf(text: string): string {
  const head = text.slice(0, CHARS_MAX)
  const lines = head.split('\n')
  // A line or two over the limit are shown rather than hidden behind a button.
  if (text.length <= CHARS_MAX && lines.length <= LINES_MAX + 2) return text
  return lines.slice(0, LINES_MAX).join('\n')
}
