import type { VNode } from 'preact'
import { useMemo } from 'preact/hooks'
import { CopyButton } from './copy-button.tsx'
import { highlighted } from './highlight.tsx'

export interface CodeBlockProps {
  code: string
  language?: string | null | undefined
  /** More of it is on its way: colours wait. */
  isOpen?: boolean
}

export function CodeBlock({ code, language, isOpen = false }: CodeBlockProps): VNode {
  const shown = useMemo(() => (isOpen ? code : highlighted(code, language)), [code, language, isOpen])
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
