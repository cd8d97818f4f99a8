import { fetchBlob } from './api.ts'

/** How long a browser has to read what it saves, in milliseconds. */
const SAVING_MS = 60_000

/** Downloads what this page holds. */
export function saveFile(name: string, content: Blob): void {
  const address = URL.createObjectURL(content)
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(address), SAVING_MS)
}

/** Downloads a blob of the runner. A link would not do, since it sends no token. */
export async function saveBlob(url: string): Promise<void> {
  saveFile(url.split('/').at(-1) ?? 'blob', await fetchBlob(url))
}
