import { addressOf } from '../model-route/credentials.ts'
import type { RouteEnv } from '../model-route/route-kind.ts'
import type { RequestLine } from './door.ts'
import type { ModelApi, Passage } from './model-door.ts'

/** Claude Code's own, where nothing names a region. */
const REGION = 'us-east-1'
const PATH = /^\/model\/([A-Za-z0-9](?:[\w.:-]|%3A|%2F)*)\/(?:invoke-with-response-stream|invoke)$/

/** Amazon Bedrock in the environment's region: with its bearer token, else with AWS's signature. */
export function bedrockApi(env: RouteEnv): ModelApi {
  const region = env['AWS_REGION'] || env['AWS_DEFAULT_REGION'] || REGION
  const base = env['ANTHROPIC_BEDROCK_BASE_URL'] || `https://bedrock-runtime.${region}.amazonaws.com`
  const bearer = env['AWS_BEARER_TOKEN_BEDROCK'] || undefined
  const sign = signer(env, region)
  return {
    admit({ method, path, query }: RequestLine): Passage | undefined {
      const model = PATH.exec(path)?.[1]
      if (method !== 'POST' || query !== '' || model === undefined) return undefined
      const { url } = addressOf(base, path)
      return {
        url,
        isMetered: true,
        modelIn: { path: decodeURIComponent(model) },
        isSigned: bearer === undefined,
        authorize: (headers, body) =>
          bearer === undefined
            ? sign(url, headers, body)
            : Promise.resolve({ ...headers, authorization: `Bearer ${bearer}` }),
      }
    },
  }
}

type Sign = (url: URL, headers: Record<string, string>, body?: Buffer) => Promise<Record<string, string>>

/** AWS's own libraries: they find the credentials as every program for its cloud does. */
function signer(env: RouteEnv, region: string): Sign {
  const open = async () => {
    const [{ SignatureV4 }, { Sha256 }, credentials] = await Promise.all([
      import('@smithy/signature-v4'),
      import('@aws-crypto/sha256-js'),
      credentialsOf(env),
    ])
    return new SignatureV4({ service: 'bedrock', region, sha256: Sha256, credentials })
  }
  let opened: ReturnType<typeof open> | undefined
  return async (url, headers, body) => {
    opened ??= open()
    const { HttpRequest } = await import('@smithy/protocol-http')
    const { 'content-length': length, ...signed } = headers
    const request = new HttpRequest({
      method: 'POST',
      protocol: url.protocol,
      hostname: url.hostname,
      path: url.pathname,
      headers: { ...signed, host: url.host },
      body,
    })
    const { headers: all } = await (await opened).sign(request)
    return { ...all, ...(length !== undefined && { 'content-length': length }) }
  }
}

/** Named in the environment, else along AWS's chain: profiles, roles and the machine's own. */
async function credentialsOf(env: RouteEnv) {
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: session } = env
  if (id && secret) {
    const named = { accessKeyId: id, secretAccessKey: secret, ...(session && { sessionToken: session }) }
    return () => Promise.resolve(named)
  }
  const { defaultProvider } = await import('@aws-sdk/credential-provider-node')
  return defaultProvider()
}
