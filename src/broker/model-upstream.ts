import type { Dispatcher } from 'undici'
import type { ModelRoute } from '../model-route/route.ts'
import type { RouteEnv } from '../model-route/route-kind.ts'
import { anthropicApi } from './anthropic-api.ts'
import { bedrockApi } from './bedrock-api.ts'
import type { ModelApi, ModelUpstream } from './model-door.ts'
import { vertexApi } from './vertex-api.ts'

/** Opens the model that a route leads to, with the route's credential, proxy and certificates. */
export function openUpstream({ route, env }: { route: ModelRoute; env: RouteEnv }): ModelUpstream & {
  close(): Promise<void>
} {
  let opened: Promise<Dispatcher> | undefined
  return {
    api: apiOf(route, env),
    connections() {
      opened ??= import('../model-route/dispatcher.ts').then(({ connectionsOf, createDispatcher }) =>
        createDispatcher(connectionsOf(route)),
      )
      return opened
    },
    async explain(error) {
      const { explainFailure } = await import('../model-route/failure.ts')
      return await explainFailure(route, error)
    },
    async close() {
      await (await opened)?.destroy()
    },
  }
}

function apiOf(route: ModelRoute, env: RouteEnv): ModelApi {
  if (route.kind === 'vertex') return vertexApi(env)
  if (route.kind === 'bedrock') return bedrockApi(env)
  const { baseUrl, headers } = route.secrets.reveal()
  if (baseUrl === null) throw new Error(`no door for the route ${route.kind}`)
  return anthropicApi(baseUrl, headers)
}
