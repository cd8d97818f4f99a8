import type { VNode } from 'preact'
import { useState } from 'preact/hooks'
import { checksOf, headlinesOf, type Readiness } from '../model/readiness.ts'
import { askToNotify, canAskToNotify } from '../state/notifier.ts'
import { applyTheme, keptTheme, nextTheme } from '../state/theme.ts'

interface HeaderProps {
  readiness: Readiness | { problem: string } | undefined
  isKnown: boolean
  onCheck(): void
  /** How many threads wait for somebody. */
  needing: number
  isListShown: boolean
  onShowList(): void
  onShowFiles(): void
  onShowKeys(): void
}

export function Header(props: HeaderProps): VNode {
  const { readiness, isKnown, onCheck, needing, isListShown, onShowList, onShowFiles, onShowKeys } = props
  const [theme, setTheme] = useState(keptTheme())
  const [mayAsk, setMayAsk] = useState(canAskToNotify())
  const turn = (): void => {
    const next = nextTheme(theme)
    applyTheme(next)
    setTheme(next)
  }
  return (
    <header>
      <button
        type="button"
        id="show-threads"
        aria-controls="threads"
        aria-expanded={isListShown}
        onClick={onShowList}
      >
        Threads
        {needing > 0 && (
          <b>
            {needing}
            <span class="hidden"> need you</span>
          </b>
        )}
      </button>
      <h1>agui-runner</h1>
      <ReadinessPanel readiness={readiness} isKnown={isKnown} onCheck={onCheck} />
      <button type="button" class="quiet" title="Files of the workspace (f)" onClick={onShowFiles}>
        Files
      </button>
      {mayAsk && (
        <button
          type="button"
          class="quiet wide"
          onClick={() => void askToNotify().finally(() => setMayAsk(false))}
        >
          Notify me
        </button>
      )}
      <button type="button" class="quiet" title="Colours: system, light, dark" onClick={turn}>
        <span class="hidden">Theme: {theme}</span>
        <span aria-hidden="true">{{ system: '◐', light: '☀', dark: '☾' }[theme]}</span>
      </button>
      <button
        type="button"
        class="quiet wide"
        aria-label="Keyboard"
        title="Keyboard (?)"
        onClick={onShowKeys}
      >
        ?
      </button>
      <a href="docs">API</a>
    </header>
  )
}

type PanelProps = Pick<HeaderProps, 'readiness' | 'isKnown' | 'onCheck'>

/** Says in words whether a run would work, whether a mock answers and whether the policy holds; the panel has the reasons. */
function ReadinessPanel({ readiness, isKnown, onCheck }: PanelProps): VNode {
  const isAsked = readiness === undefined
  const words = !isKnown
    ? [{ word: 'unknown', level: 'dim' }]
    : isAsked
      ? [{ word: 'checking…', level: 'dim' }]
      : 'problem' in readiness
        ? [{ word: 'cannot be asked', level: 'bad' }]
        : headlinesOf(readiness)
  const isBad = !isAsked && 'isReady' in readiness && !readiness.isReady
  return (
    // It opens by itself when no run would work.
    <details id="readiness" class="popover" open={isBad}>
      <summary title="What was checked">
        {words.map(({ word, level }) => (
          <span key={word} class={`badge ${level}`}>
            {word}
          </span>
        ))}
      </summary>
      <div class="panel">
        {!isAsked && 'problem' in readiness && <p class="bad">{readiness.problem}</p>}
        {!isAsked && 'checks' in readiness && (
          <dl>
            {checksOf(readiness).map(({ title, level, message }) => (
              <div key={title}>
                <dt>{title}</dt>
                <dd class={level}>{message}</dd>
              </div>
            ))}
          </dl>
        )}
        <button type="button" class="quiet" disabled={isAsked} onClick={onCheck}>
          Check again
        </button>
      </div>
    </details>
  )
}
