import { Cluster, Redis } from 'ioredis'
import type { RedisPlace } from './redis-place.ts'

export type Argument = string | Buffer | number
export type Connection = Redis | Cluster

export const CONNECT_MS = 5000
const KEEPALIVE_MS = 10_000
/** Errors of a server that is no longer the master: the client asks for the new one and sends the command again. */
const DEMOTED = /^(READONLY|MASTERDOWN)\b/

/**
 * Returns a connection that connects on first use.
 *
 * @param retry returns the milliseconds before the next attempt, by the number of attempts so far; `null` for none.
 */
export function connectionTo(place: RedisPlace, retry: (times: number) => number | null): Connection {
  const { kind, nodes, path, isTls, username, password, db, master } = place
  const [node] = nodes
  const common = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    keepAlive: KEEPALIVE_MS,
    connectTimeout: CONNECT_MS,
    connectionName: 'agui-runner',
    maxRetriesPerRequest: null,
    reconnectOnError: (error: Error): 2 | false => (DEMOTED.test(error.message) ? 2 : false),
  }
  const tls = isTls ? { tls: {} } : {}
  if (kind === 'cluster') {
    const redisOptions = { ...common, ...tls }
    // While a thread's slot moves between two nodes, both refuse its commands (TRYAGAIN), for as long as that takes.
    const maxRedirections = Number.POSITIVE_INFINITY
    return new Cluster([...nodes], {
      ...{ redisOptions, maxRedirections },
      lazyConnect: true,
      clusterRetryStrategy: retry,
    })
  }
  return new Redis({
    ...common,
    ...tls,
    db,
    lazyConnect: true,
    retryStrategy: retry,
    sentinelRetryStrategy: retry,
    ...(kind === 'sentinel'
      ? { sentinels: [...nodes], name: master, enableTLSForSentinelMode: isTls }
      : (node ?? {})),
    ...(path === undefined ? {} : { path }),
  })
}
