import type { ContentPart } from '@ag-ui/core'

/** Returns the pictures, documents and other parts of a message that are no text. */
export function mediaParts(content: string | readonly ContentPart[]): ContentPart[] {
  return typeof content === 'string' ? [] : content.filter(({ type }) => type !== 'text')
}
