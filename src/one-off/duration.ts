const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000 }
const DURATION = /^(\d{1,6})([smh])$/

/** Returns `90s`, `30m` or `2h` in milliseconds, and undefined for anything else, such as a number without a unit. */
export function parseDuration(text: string): number | undefined {
  const [, amount = '', unit = ''] = DURATION.exec(text) ?? []
  const ms = Number(amount) * (UNIT_MS[unit] ?? 0)
  return ms > 0 ? ms : undefined
}
