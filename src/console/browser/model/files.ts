import type { UserMessage } from '@ag-ui/core'

export interface AttachedFile {
  name: string
  mimeType: string
  /** Base64. */
  data: string
}

export type PromptContent = Exclude<UserMessage['content'], undefined>

const IMAGE = /^image\//

/** A prompt with its files, as AG-UI content; without files it is a plain text. */
export function contentOf(prompt: string, files: readonly AttachedFile[]): PromptContent {
  if (files.length === 0) return prompt
  return [
    ...(prompt === '' ? [] : [{ type: 'text' as const, text: prompt }]),
    ...files.map(({ mimeType, data }) => ({
      type: IMAGE.test(mimeType) ? ('image' as const) : ('document' as const),
      source: { type: 'data' as const, value: data, mimeType },
    })),
  ]
}
