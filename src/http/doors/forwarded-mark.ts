/** Marks what a runner has sent on: it is sent on once, so that two that are wrong about each other make no circle. */
export const FORWARDED_MARK = 'x-agui-runner-forwarded'
