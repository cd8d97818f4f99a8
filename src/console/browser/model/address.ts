export const threadAddress = (threadId: string): string => `#/${encodeURIComponent(threadId)}`

/** The thread that the page's address names. */
export function threadOfAddress(hash: string): string | undefined {
  const [, name] = /^#\/(.+)$/.exec(hash) ?? []
  if (name === undefined) return undefined
  try {
    return decodeURIComponent(name)
  } catch {
    // Somebody typed it without encoding it.
    return name
  }
}
