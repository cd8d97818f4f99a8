import type { GatewayFault } from './script.ts'

/** One of the gateway's own answers (openshell.md 4.4); none has Anthropic's error shape. */
export interface GatewayAnswer {
  readonly status: number
  readonly text: string
  readonly json: boolean
  /** Whether the gateway closes the connection after the answer, without a header that says so. */
  readonly close: boolean
}

export const GATEWAY_ANSWERS: Readonly<Record<GatewayFault, GatewayAnswer>> = {
  'not-configured': json(503, {
    error: 'cluster inference is not configured',
    hint: 'run: openshell cluster inference set --help',
  }),
  'no-compatible-route': json(400, { error: 'no compatible inference route available' }),
  unavailable: json(503, { error: 'inference service unavailable' }),
  'service-error': json(502, { error: 'inference service error' }),
  unauthorized: json(401, { error: 'unauthorized' }),
  'not-allowed': { ...json(403, { error: 'connection not allowed by policy' }), close: true },
  'too-large': { status: 413, text: 'Payload Too Large', json: false, close: true },
}

/** The gateway's reason phrases (net/l7/inference.rs); it knows no others. */
const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  411: 'Length Required',
  413: 'Payload Too Large',
  422: 'Unprocessable Entity',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
}

export function toReason(status: number): string {
  return REASONS[status] ?? 'Unknown'
}

function json(status: number, body: Record<string, string>): GatewayAnswer {
  return { status, text: JSON.stringify(body), json: true, close: false }
}
