import { addressOf } from '../model-route/credentials.ts'
import type { RouteEnv } from '../model-route/route-kind.ts'
import type { Sign } from './aws-signature.ts'
import type { RequestLine } from './door.ts'
import type { ModelApi, Passage } from './model-door.ts'

/** Claude Code's default region. */
const REGION = 'us-east-1'
const PATH = /^\/model\/([A-Za-z0-9](?:[\w.:-]|%3A|%2F)*)\/(?:invoke-with-response-stream|invoke)$/

/** Amazon Bedrock in the environment's region, authorized by its bearer token, else by AWS's signature. */
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

/** Loads AWS's own libraries with the first request. */
function signer(env: RouteEnv, region: string): Sign {
  let opened: Promise<Sign> | undefined
  return async (url, headers, body) => {
    opened ??= import('./aws-signature.ts').then(({ awsSignature }) => awsSignature(env, region))
    return await (await opened)(url, headers, body)
  }
}
