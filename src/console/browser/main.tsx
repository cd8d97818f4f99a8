import { render } from 'preact'
import { ConsoleState } from './state/console-state.ts'
import { Notifier } from './state/notifier.ts'
import { applyTheme, keptTheme } from './state/theme.ts'
import { App } from './view/app.tsx'

const leaving = new AbortController()
window.addEventListener('pagehide', () => leaving.abort())
// A page that comes back from the browser's cache has closed its streams.
window.addEventListener('pageshow', ({ persisted }) => {
  if (persisted) location.reload()
})

applyTheme(keptTheme())
const root = document.getElementById('console')
if (root === null) throw new TypeError('The page has no place for the console.')

const notifier = new Notifier()
let isChanged = false

/** Draws at most once a frame, however much has changed. A hidden tab draws no frames; its title changes all the same. */
function change(): void {
  if (document.hidden) notifier.notify(state)
  if (isChanged) return
  isChanged = true
  requestAnimationFrame(() => {
    isChanged = false
    notifier.notify(state)
    if (root !== null) render(<App state={state} />, root)
  })
}

const state = new ConsoleState({ signal: leaving.signal, onChange: change })
await state.start()
