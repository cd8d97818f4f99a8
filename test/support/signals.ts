/**
 * Of kills, hangs, signals and full disks a pass tries one of each kind, and all with AGUI_SIGNALS=all (README, "Tests"),
 * as `.ci/run` does.
 */
export const ALL_SIGNALS = process.env['AGUI_SIGNALS'] === 'all'

/** The first, or all. */
export const oneOrAll = <T>(kinds: readonly T[]): readonly T[] => (ALL_SIGNALS ? kinds : kinds.slice(0, 1))
