/**
 * The longest time that a timer is given, in milliseconds: 23 days. Node's timers hold 31 bits, and fire at once when
 * they are given more; below that is room for what Node adds to some of them.
 */
export const TIMER_MS_MAX = 2_000_000_000
