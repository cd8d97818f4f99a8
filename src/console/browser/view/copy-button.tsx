import type { VNode } from 'preact'
import { useState } from 'preact/hooks'

const SAID_MS = 1500

/** Copies the text. It is not drawn over plain HTTP from another machine, where browsers lock the clipboard. */
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
