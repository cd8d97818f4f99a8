/**
 * How much a pass does of what is proven by count: a share by default, the whole with AGUI_VOLUME=5 (README, "Tests").
 */
export const VOLUME = Number(process.env['AGUI_VOLUME'] ?? 1)
