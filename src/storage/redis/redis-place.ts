import { z } from 'zod'
import { RunnerError } from '../../errors.ts'
import { wholeNumber } from '../../whole-number.ts'

/** The parsed EVENT_LOG_URL. */
export interface RedisPlace {
  kind: 'single' | 'sentinel' | 'cluster'
  /** The server, the sentinels, or nodes of the cluster; empty for a Unix socket. */
  nodes: readonly { host: string; port: number }[]
  /** Path of the Unix socket; undefined without one. */
  path: string | undefined
  isTls: boolean
  username: string | undefined
  password: string | undefined
  db: number
  /** The sentinels' name for the master; empty without sentinels. */
  master: string
  /** Number of replicas that must have a commit before it counts as flushed. */
  waitReplicas: number
  /** Whether a commit must be in the append-only file on disk before it counts as flushed. */
  waitAof: boolean
}

const FORMS =
  'must be redis://[user:password@]host[:port][/db], rediss:// for TLS, or unix:///path/to/socket (unix://user:password@localhost/path/to/socket); with ?sentinel=NAME, ?cluster=true, ?node=host:port for each further one, ?waitReplicas=N and ?waitAof=true where wanted'
const PORT = 6379
const SENTINEL_PORT = 26379

const flag = z
  .enum(['true', 'false'])
  .default('false')
  .transform((value) => value === 'true')
const Query = z.strictObject({
  sentinel: z.string().min(1).optional(),
  cluster: flag,
  node: z.array(z.string()).default([]),
  waitReplicas: wholeNumber({ max: 16 }).default(0),
  waitAof: flag,
  db: wholeNumber().default(0),
})

/** Parses EVENT_LOG_URL. @throws {RunnerError} `config_invalid`, without the value: it may hold a password. */
export function parsePlace(text: string): RedisPlace {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isUnix = url?.protocol === 'unix:'
  if (url === undefined || !['redis:', 'rediss:', 'unix:'].includes(url.protocol)) throw notRight()
  const named = Object.fromEntries(url.searchParams)
  const query = Query.safeParse({
    ...named,
    ...(url.searchParams.has('node') ? { node: url.searchParams.getAll('node') } : {}),
  })
  if (!query.success) throw notRight()
  const { sentinel, cluster, node, waitReplicas, waitAof } = query.data
  const kind = sentinel !== undefined ? 'sentinel' : cluster ? 'cluster' : 'single'
  const path = isUnix ? decoded(url.pathname) : undefined
  const db = isUnix ? query.data.db : dbOf(url.pathname)
  const isOdd =
    (sentinel !== undefined && cluster) ||
    (isUnix && (kind !== 'single' || path === '' || path === '/' || !['', 'localhost'].includes(url.host))) ||
    url.hash !== '' ||
    (!isUnix && (url.hostname === '' || 'db' in named)) ||
    (kind === 'single' && node.length > 0) ||
    (kind === 'cluster' && db !== 0)
  if (isOdd || db === undefined) throw notRight()
  const port = kind === 'sentinel' ? SENTINEL_PORT : PORT
  return {
    kind,
    nodes: isUnix ? [] : [url.host, ...node].map((one) => nodeOf(one, port)),
    path,
    isTls: url.protocol === 'rediss:',
    username: url.username === '' ? undefined : decoded(url.username),
    password: url.password === '' ? undefined : decoded(url.password),
    db,
    master: sentinel ?? '',
    waitReplicas,
    waitAof,
  }
}

function nodeOf(text: string, port: number): { host: string; port: number } {
  const url = URL.canParse(`redis://${text}`) ? new URL(`redis://${text}`) : undefined
  if (url === undefined || url.hostname === '' || url.host !== text) throw notRight()
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return { host, port: url.port === '' ? port : Number(url.port) }
}

function dbOf(path: string): number | undefined {
  const [, digits = '0'] = /^\/?(\d{1,4})?$/.exec(path) ?? [undefined, 'none']
  return /^\d+$/.test(digits) ? Number(digits) : undefined
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw notRight()
  }
}

function notRight(): RunnerError {
  return new RunnerError('config_invalid', `EVENT_LOG_URL: ${FORMS}`)
}
