/** The kind of route to a model; decided by `wrappers/model-route.sh` alone. */
export type ModelRouteKind = 'custom' | 'gateway' | 'vertex' | 'bedrock' | 'oauth' | 'api_key' | 'none'

export type RouteEnv = Readonly<Record<string, string | undefined>>
