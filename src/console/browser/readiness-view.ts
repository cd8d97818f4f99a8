import { type Readiness, readReadiness } from './api.ts'
import { button, make, setText } from './dom.ts'

const NAMES: Readonly<Record<string, string>> = {
  model_route: 'Model route',
  claude_code: 'Claude Code',
  home: 'HOME',
  state: 'State folder',
  workspace: 'Workspace',
  policy_enforcement: 'Policy',
}

/** Whether a run would work here, and what holds Claude Code to the policy. Asked once; each check costs real work. */
export class ReadinessView {
  readonly #details: HTMLDetailsElement
  readonly #word = make('span')
  readonly #policy = make('span', { class: 'policy' })
  readonly #rows = make('dl')
  readonly #again = button('Check again', { class: 'quiet', press: () => void this.check() })
  readonly #closing: AbortSignal

  constructor(details: HTMLDetailsElement, signal: AbortSignal) {
    this.#details = details
    this.#closing = signal
    details.replaceChildren(
      make('summary', { title: 'What was checked' }, this.#word, this.#policy),
      make('div', { class: 'panel' }, this.#rows, this.#again),
    )
    this.#tell('checking…', 'dim')
  }

  async check(): Promise<void> {
    this.#tell('checking…', 'dim')
    this.#again.disabled = true
    try {
      this.#show(await readReadiness(this.#closing))
    } catch (error) {
      this.#tell('cannot be asked', 'bad')
      this.#rows.replaceChildren(
        make('dd', { class: 'bad' }, error instanceof Error ? error.message : String(error)),
      )
    } finally {
      this.#again.disabled = false
    }
  }

  #show({ isReady, checks }: Readiness): void {
    const policy = checks.find(({ name }) => name === 'policy_enforcement')?.message ?? ''
    const isEnforced = policy.startsWith('enforced')
    if (!isReady) this.#tell('not ready', 'bad')
    else
      this.#tell(
        'ready',
        isEnforced ? 'good' : 'warn',
        ` · policy ${isEnforced ? policy : 'not fully enforced'}`,
      )
    this.#rows.replaceChildren(
      ...checks.flatMap(({ name, isOk, message }) => {
        const kind = !isOk ? 'bad' : name === 'policy_enforcement' && !isEnforced ? 'warn' : 'good'
        const said = message === '' ? (isOk ? 'works' : 'does not work') : message
        return [make('dt', {}, NAMES[name] ?? name), make('dd', { class: kind }, said)]
      }),
    )
    // What keeps every run from working is not to be looked for.
    if (!isReady) this.#details.open = true
  }

  #tell(word: string, kind: string, policy = ''): void {
    setText(this.#word, word)
    setText(this.#policy, policy)
    this.#word.className = `badge ${kind}`
    this.#policy.className = `policy ${kind}`
  }
}
