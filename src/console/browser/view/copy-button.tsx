import type { VNode } from 'preact'
import { useState } from 'preact/hooks'

const SAID_MS = 1500

/** Nothing where the browser keeps the clipboard from pages: over plain HTTP from another machine. */
export function CopyButton({ text }: { text: string }): VNode | null {
  const [word, setWord] = useState('Copy')
  const clipboard: Clipboard | undefined = navigator.clipboard
  if (clipboard === undefined) return null
  const copy = async (): Promise<void> => {
    const said = await clipboard.writeText(text).then(
      () => 'Copied',
      () => 'Not allowed',
    )
    setWord(said)
    setTimeout(() => setWord('Copy'), SAID_MS)
  }
  return (
    <button type="button" class="copy" onClick={() => void copy()}>
      {word}
    </button>
  )
}
