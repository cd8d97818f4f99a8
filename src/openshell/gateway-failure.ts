import { status } from '@grpc/grpc-js'

/**
 * The reaction to a failed call (control-plane.md 3.4): try `again`; accept that the thing is `absent` (or somebody
 * else's) or its name `taken`; `sign in`; or correct the request (`refused`).
 */
export type GatewayRemedy = 'again' | 'absent' | 'taken' | 'sign in' | 'refused'

const REMEDIES: Readonly<Partial<Record<status, GatewayRemedy>>> = {
  [status.NOT_FOUND]: 'absent',
  [status.ALREADY_EXISTS]: 'taken',
  [status.UNAUTHENTICATED]: 'sign in',
  [status.PERMISSION_DENIED]: 'refused',
  [status.INVALID_ARGUMENT]: 'refused',
  [status.FAILED_PRECONDITION]: 'refused',
  [status.OUT_OF_RANGE]: 'refused',
  [status.UNIMPLEMENTED]: 'refused',
  [status.INTERNAL]: 'refused',
  [status.UNKNOWN]: 'refused',
}

/** Advice to the operator, which ends the message. */
const ADVICE: Readonly<Partial<Record<status, string>>> = {
  [status.UNAUTHENTICATED]:
    'sign in anew, and give the token (--token-file, --edge-token-file) or the certificate (--tls-cert, --tls-key)',
  [status.PERMISSION_DENIED]:
    'ask for the role: user for sandboxes, admin for providers, routes and policies',
  [status.RESOURCE_EXHAUSTED]: 'stop what is not needed, or ask for a larger quota',
  [status.UNIMPLEMENTED]: 'this gateway is too old for it',
  [status.UNAVAILABLE]: 'see whether the gateway runs and is reached from here',
  [status.DEADLINE_EXCEEDED]: 'see whether the gateway is overloaded',
}

export class GatewayFailure extends Error {
  override readonly name = 'GatewayFailure'
  readonly code: status
  readonly remedy: GatewayRemedy

  /** `call` is the method's name, `details` the gateway's text on one line. */
  constructor(call: string, code: status, details: string) {
    const advice = ADVICE[code]
    const said = details === '' ? '' : `: ${details}`
    super(`${call} failed (${status[code]})${said}${advice === undefined ? '' : `; ${advice}`}`)
    this.code = code
    this.remedy = REMEDIES[code] ?? 'again'
  }
}

export function isFailure(error: unknown, remedy: GatewayRemedy): error is GatewayFailure {
  return error instanceof GatewayFailure && error.remedy === remedy
}
