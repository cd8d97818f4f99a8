import { access, constants } from 'node:fs/promises'
import { errnoOf } from '../errno.ts'
import { type ErrorCode, toMessage } from '../errors.ts'
import type { ModelRoute } from './route.ts'

/** Header that the broker sets on its own answers: the code of the error that kept it from asking the model. */
export const FAILURE_HEADER = 'agui-failure'

export interface RouteFailure {
  ok: false
  code: ErrorCode
  message: string
}

const CERTIFICATE_CODE =
  /^(?:CERT_|ERR_TLS_|ERR_SSL_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|UND_ERR_PRX_TLS|EPROTO|INVALID_CA)/

/** Explains why a request did not reach the route's model, and what to do. */
export async function explainFailure(route: ModelRoute, error: unknown): Promise<RouteFailure> {
  const code = codeOf(error)
  const why = code ?? (toMessage(error) || 'no reason given')
  const proxied = route.secrets.reveal().proxy !== null
  const proxy = `the proxy ${route.proxyUrl}`
  if (code !== null && CERTIFICATE_CODE.test(code)) {
    return failure(
      'model_unreachable',
      `TLS to ${where(route)} failed (${code}): ${await caAction(route.caFile)}`,
    )
  }
  const refusal = /Proxy response \((\d+)\)/.exec(toMessage(error))?.[1]
  if (refusal !== undefined) {
    const action = refusal === '407' ? "check the proxy's credentials" : 'its policy has to allow this host'
    return failure('model_unreachable', `${proxy} refused ${where(route)} with ${refusal}: ${action}`)
  }
  if (proxied && code === 'ECONNRESET') {
    const action = 'inference may not be set up for this sandbox'
    return failure(
      'model_unreachable',
      `${proxy} closed the connection to ${where(route)} (${why}): ${action}`,
    )
  }
  const target = proxied ? proxy : where(route)
  return failure(
    'model_unreachable',
    `cannot connect to ${target} (${why}): check that it runs and its address`,
  )
}

async function caAction(caFile: string | null): Promise<string> {
  if (caFile === null) return 'set NODE_EXTRA_CA_CERTS to the file of the CA that signed it'
  const isReadable = await access(caFile, constants.R_OK).then(
    () => true,
    () => false,
  )
  return isReadable
    ? `the CA in ${caFile} (NODE_EXTRA_CA_CERTS) did not sign its certificate`
    : `the CA file ${caFile} (NODE_EXTRA_CA_CERTS) cannot be read`
}

/** Returns the first code of the system or undici along a failure's causes; null when there is none. */
function codeOf(error: unknown): string | null {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code = errnoOf(at)
    if (code !== undefined) return code === 'UND_ERR_SOCKET' ? 'ECONNRESET' : code
  }
  return null
}

export const where = (route: ModelRoute): string => route.baseUrl ?? route.kind

export const failure = (code: ErrorCode, message: string): RouteFailure => ({ ok: false, code, message })
