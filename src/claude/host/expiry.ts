import type { Interrupt } from '@ag-ui/core'

// This is the wall clock: the instant is told to clients, and a question outlives the process that asked it.

/** Returns the end of an interrupt's life, in `expiresMs` milliseconds; nothing for 0. */
export function expiryIn(expiresMs: number): Pick<Interrupt, 'expiresAt'> {
  return expiresMs > 0 ? { expiresAt: new Date(Date.now() + expiresMs).toISOString() } : {}
}

export function hasExpired({ expiresAt }: Interrupt): boolean {
  return expiresAt !== undefined && Date.parse(expiresAt) < Date.now()
}
