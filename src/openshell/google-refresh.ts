import { z } from 'zod'
import type { RefreshPlan } from './sandbox-plan.ts'

/** OpenShell's numbers of the two ways in which a gateway fetches tokens of Google. */
const STRATEGY = { refreshToken: 3, serviceAccount: 5 } as const

/** What GOOGLE_APPLICATION_CREDENTIALS names: the key of a service account, or what `gcloud auth application-default login` leaves. */
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
  /** By the variable's name. */
  credentials: Record<string, string>
  material: Record<string, string>
}

/** Undefined for a text that is neither of the two files. */
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

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
