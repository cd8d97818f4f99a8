/** The header of a forwarded request. It is forwarded once only, so that two runners in error form no loop. */
export const FORWARDED_MARK = 'x-agui-runner-forwarded'
