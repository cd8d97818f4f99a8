import { fetchBlob } from './api.ts'

/** How long a browser has to take over what it saves. */
const SAVING_MS = 60_000

/** A file for the person, of what this page holds. */
export function saveFile(name: string, content: Blob): void {
  const address = URL.createObjectURL(content)
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(address), SAVING_MS)
}

/** A file for the person, of what the runner holds. The token goes by a header, which no link sends. */
export async function saveBlob(url: string): Promise<void> {
  saveFile(url.split('/').at(-1) ?? 'blob', await fetchBlob(url))
}
