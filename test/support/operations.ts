/** A method and path that a running server's own document has, with `x` for each parameter. */
export interface Operation {
  method: string
  path: string
  /** Whether it needs no token. */
  isOpen: boolean
}

export async function operationsOf(url: string, token: string): Promise<Operation[]> {
  const response = await fetch(`${url}/openapi.json`, { headers: { authorization: `Bearer ${token}` } })
  const { paths }: { paths: Record<string, Record<string, { security?: unknown[] }>> } = JSON.parse(
    await response.text(),
  )
  return Object.entries(paths).flatMap(([pattern, methods]) =>
    Object.entries(methods).map(([method, { security }]) => ({
      method: method.toUpperCase(),
      path: pattern.replaceAll(/\{\w+\}/g, 'x'),
      isOpen: security?.length === 0,
    })),
  )
}
