import { GoogleAuth } from 'google-auth-library'
import type { RouteEnv } from '../model-route/route-kind.ts'

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform'

/** Returns a source of tokens by Google's own library, which finds the credential as every Google program does. */
export function googleTokens(env: RouteEnv): () => Promise<string> {
  const keyFile = env['GOOGLE_APPLICATION_CREDENTIALS'] || undefined
  const auth = new GoogleAuth({ scopes: SCOPE, ...(keyFile !== undefined && { keyFilename: keyFile }) })
  return async () => {
    const token = await auth.getAccessToken()
    if (token) return token
    throw new Error('Google gave no access token')
  }
}
