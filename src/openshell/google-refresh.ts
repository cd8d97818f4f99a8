import { z } from 'zod'
import { parseJson } from '../json.ts'
import type { RefreshPlan } from './sandbox-plan.ts'

/** OpenShell's numbers for the two ways in which a gateway fetches Google's tokens. */
const STRATEGY = { refreshToken: 3, serviceAccount: 5 } as const

/** The GOOGLE_APPLICATION_CREDENTIALS file: a service account's key, or `gcloud auth application-default login`'s. */
const GoogleFile = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('service_account'),
    client_email: z.string().min(1),
    private_key: z.string().min(1),
  }),
  z.object({
    type: z.literal('authorized_user'),
    client_id: z.string().min(1),
    client_secret: z.string().min(1),
    refresh_token: z.string().min(1),
  }),
])

export interface GoogleCredential {
  refresh: RefreshPlan
  /** The credentials by the name of their variable. */
  credentials: Record<string, string>
  material: Record<string, string>
}

/** Reads the text of such a file. Returns undefined when it is neither of the two. */
export function readGoogleCredential(text: string): GoogleCredential | undefined {
  const file = GoogleFile.safeParse(parseJson(text)).data
  if (file === undefined) return undefined
  if (file.type === 'service_account') {
    const { client_email, private_key } = file
    return {
      refresh: {
        credential: 'GOOGLE_VERTEX_AI_SERVICE_ACCOUNT_TOKEN',
        strategy: STRATEGY.serviceAccount,
        material: ['client_email', 'private_key'],
        secretMaterial: ['private_key'],
      },
      credentials: { GOOGLE_SERVICE_ACCOUNT_KEY: text.trim() },
      material: { client_email, private_key },
    }
  }
  const { client_id, client_secret, refresh_token } = file
  return {
    refresh: {
      credential: 'GOOGLE_VERTEX_AI_TOKEN',
      strategy: STRATEGY.refreshToken,
      material: ['client_id', 'client_secret', 'refresh_token'],
      secretMaterial: ['client_secret', 'refresh_token'],
    },
    credentials: {},
    material: { client_id, client_secret, refresh_token },
  }
}
