import { RunnerError } from '../errors.ts'
import { addressOf } from '../model-route/credentials.ts'
import type { RouteEnv } from '../model-route/route-kind.ts'
import type { RequestLine } from './door.ts'
import type { ModelApi, Passage } from './model-door.ts'

/** Claude Code's default region, without CLOUD_ML_REGION. */
const REGION = 'us-east5'
const PATH =
  /^\/v1\/projects\/([\w-]+)\/locations\/([\w-]+)\/publishers\/anthropic\/models\/([A-Za-z0-9][\w.@-]*):(?:streamRawPredict|rawPredict)$/

/**
 * Google's Vertex AI, in the environment's project and regions.
 *
 * @throws {RunnerError} `config_invalid` without a project.
 */
export function vertexApi(env: RouteEnv): ModelApi {
  const project = PROJECTS.map((name) => env[name] ?? '').find((value) => value !== '')
  if (project === undefined)
    throw new RunnerError(
      'config_invalid',
      'ANTHROPIC_VERTEX_PROJECT_ID has to name the project on Vertex AI.',
    )
  const regions = Object.entries(env).flatMap(([name, value]) =>
    value !== undefined && value !== '' && (name === 'CLOUD_ML_REGION' || name.startsWith('VERTEX_REGION_'))
      ? [value]
      : [],
  )
  const allowed = new Set((env['CLOUD_ML_REGION'] ?? '') === '' ? [...regions, REGION] : regions)
  const token = tokenSource(env)
  return {
    admit({ method, path, query }: RequestLine): Passage | undefined {
      const [, asked, region = '', model = ''] = PATH.exec(path) ?? []
      if (method !== 'POST' || query !== '' || asked !== project || !allowed.has(region)) return undefined
      const base = env['ANTHROPIC_VERTEX_BASE_URL'] || `https://${hostOf(region)}/v1`
      const { url } = addressOf(base, path.slice('/v1'.length))
      return {
        url,
        isMetered: true,
        modelIn: { path: model },
        authorize: async (headers) => ({ ...headers, authorization: `Bearer ${await token()}` }),
      }
    },
  }
}

const PROJECTS = ['ANTHROPIC_VERTEX_PROJECT_ID', 'GOOGLE_CLOUD_PROJECT', 'GCLOUD_PROJECT']

function hostOf(region: string): string {
  if (region === 'global') return 'aiplatform.googleapis.com'
  if (region === 'us' || region === 'eu') return `aiplatform.${region}.rep.googleapis.com`
  return `${region}-aiplatform.googleapis.com`
}

/** Loads Google's own library with the first request. */
function tokenSource(env: RouteEnv): () => Promise<string> {
  let opened: Promise<() => Promise<string>> | undefined
  return async () => {
    opened ??= import('./google-token.ts').then(({ googleTokens }) => googleTokens(env))
    return await (await opened)()
  }
}
