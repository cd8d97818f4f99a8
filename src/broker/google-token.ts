import { GoogleAuth } from 'google-auth-library'
import type { RouteEnv } from '../model-route/route-kind.ts'

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform'

/** Google's own library finds the credential as every program for its cloud does, and renews the token. */
export function googleTokens(env: RouteEnv): () => Promise<string> {
  const keyFile = env['GOOGLE_APPLICATION_CREDENTIALS'] || undefined
  const auth = new GoogleAuth({ scopes: SCOPE, ...(keyFile !== undefined && { keyFilename: keyFile }) })
  return async () => {
    const token = await auth.getAccessToken()
    if (token) return token
    throw new Error('Google gave no access token')
  }
}
