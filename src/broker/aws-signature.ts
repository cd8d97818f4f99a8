import { Sha256 } from '@aws-crypto/sha256-js'
import { defaultProvider } from '@aws-sdk/credential-provider-node'
import { HttpRequest } from '@smithy/protocol-http'
import { SignatureV4 } from '@smithy/signature-v4'
import type { RouteEnv } from '../model-route/route-kind.ts'

/** Returns the headers with a signature over them and the body. */
export type Sign = (
  url: URL,
  headers: Record<string, string>,
  body?: Buffer,
) => Promise<Record<string, string>>

/** Creates a signer from AWS's own libraries, which find the credentials as every AWS program does. */
export function awsSignature(env: RouteEnv, region: string): Sign {
  const credentials = credentialsOf(env)
  const signature = new SignatureV4({ service: 'bedrock', region, sha256: Sha256, credentials })
  return async (url, headers, body) => {
    const { 'content-length': length, ...signed } = headers
    const request = new HttpRequest({
      method: 'POST',
      protocol: url.protocol,
      hostname: url.hostname,
      path: url.pathname,
      headers: { ...signed, host: url.host },
      body,
    })
    const { headers: all } = await signature.sign(request)
    return { ...all, ...(length !== undefined && { 'content-length': length }) }
  }
}

/** Takes the credentials from the environment, else from AWS's chain: profiles, roles and the machine's own. */
function credentialsOf(env: RouteEnv) {
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: session } = env
  if (!id || !secret) return defaultProvider()
  const named = { accessKeyId: id, secretAccessKey: secret, ...(session && { sessionToken: session }) }
  return () => Promise.resolve(named)
}
