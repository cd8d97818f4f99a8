import type { VNode } from 'preact'
import { CopyButton } from './copy-button.tsx'
import { useHighlighted } from './highlight.tsx'

export interface CodeBlockProps {
  code: string
  language?: string | null | undefined
  /** More of it is on its way, so colours wait. */
  isOpen?: boolean
}

export function CodeBlock({ code, language, isOpen = false }: CodeBlockProps): VNode {
  const shown = useHighlighted(code, language, isOpen)
  return (
    <figure class="code">
      <figcaption>
        <span>{language ?? 'text'}</span>
        <CopyButton text={code} />
      </figcaption>
      <pre tabIndex={0}>
        <code>{shown}</code>
      </pre>
    </figure>
  )
}
