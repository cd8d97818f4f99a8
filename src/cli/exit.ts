/** Exit codes (contract section 2); the last three are those of `STOP_ON_RUN_FINISHED`. */
export const EXIT = { ok: 0, internal: 1, config: 2, failed: 3, cancelled: 4, waiting: 5 } as const
