/** Exit codes (contract section 2). */
export const EXIT = { ok: 0, internal: 1, config: 2 } as const
