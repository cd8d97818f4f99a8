import { randomUUID } from 'node:crypto'
import { RunnerError, toMessage } from '../../errors.ts'
import { type Argument, connectionTo } from './connection.ts'
import { CHECK_KEY, FORMAT, FORMAT_KEY, THREADS_KEY } from './keys.ts'
import type { RedisPlace } from './redis-place.ts'
import { RIGHTS } from './scripts.ts'

type Ask = (command: string, ...args: Argument[]) => Promise<unknown>

/** The first major version with script flags. Valkey reports the Redis version that it is compatible with. */
const MAJOR_MIN = 7
const CHECK_MS = 5000
/** Number of hash slots of every cluster. */
const SLOTS = 16_384

/** What a silence may mean. */
const HINTS = {
  cluster: ' (a cluster answers while all of its slots are served)',
  tls: ' (rediss:// is for a port that speaks TLS)',
  plain: '',
}
const kindOf = ({ kind, isTls }: RedisPlace): keyof typeof HINTS =>
  kind === 'cluster' ? 'cluster' : isTls ? 'tls' : 'plain'

/** What an error message of Redis, or of its client, says about the address. */
const UNFIT: readonly [says: RegExp, what: string, how?: string][] = [
  [/^(WRONGPASS|NOAUTH)|invalid password|without any password/, 'refuses the user or the password'],
  [/^NOPERM/, 'refuses its user a command or a key', 'docs/redis.md names what it needs'],
  [/Protocol error|Unknown RESP type/, 'is not a Redis: it answers in another protocol'],
  [
    /certificate|altnames/i,
    'has a certificate that is not trusted here',
    'name its CA in NODE_EXTRA_CA_CERTS',
  ],
  [/No such master/, 'has no master of this name', 'name it as its sentinels do'],
  [/unknown command '?`?sentinel/i, 'is no sentinel', 'leave sentinel out'],
  [/cluster support disabled/, 'is no cluster', 'leave cluster out'],
  [/DB index|ERR SELECT/i, 'refuses the database'],
  [/unknown command/i, 'lacks a command'],
  [/^(OOM|MISCONF|NOREPLICAS|READONLY)/, 'takes nothing'],
]

/**
 * Checks whether the Redis of EVENT_LOG_URL can hold the log, and marks it as ours when nothing of ours is there yet.
 * The mark is written only after all checks have passed.
 *
 * @param workspace the key of this runner's workspace facts.
 * @throws {RunnerError} `config_invalid`, `storage_unavailable`; the message is one sentence without the password.
 */
export async function checkServer(place: RedisPlace, workspace: string): Promise<void> {
  const connection = connectionTo(place, () => null)
  let lastError: unknown
  connection.on('error', (error: unknown) => {
    lastError = error
  })
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`no answer within ${CHECK_MS} ms${HINTS[kindOf(place)]}`)),
      CHECK_MS,
    )
  })
  const ask: Ask = (command, ...args) => connection.call(command, args)
  const check = async (): Promise<void> => {
    await connection.connect()
    if (place.kind === 'cluster') checkSlots(factsOf(String(await ask('CLUSTER', 'INFO'))))
    checkFacts(factsOf(String(await ask('INFO'))), place)
    // The client would silently stay in database 0 when it cannot select the named one.
    if (place.kind !== 'cluster') await ask('SELECT', place.db)
    const isNew = await checkKeys(ask, workspace)
    await checkRights(place, ask)
    await connection.subscribe(CHECK_KEY)
    await connection.unsubscribe(CHECK_KEY)
    if (isNew) await ask('SET', FORMAT_KEY, FORMAT, 'NX')
  }
  try {
    await Promise.race([check(), late])
  } catch (error) {
    throw error instanceof RunnerError ? error : refusal(lastError ?? error, error)
  } finally {
    clearTimeout(timer)
    connection.disconnect()
  }
}

function factsOf(info: string): Map<string, string> {
  const lines = info.split('\r\n').map((line) => line.split(':'))
  return new Map(lines.map(([name = '', ...value]) => [name, value.join(':')]))
}

/** A cluster may serve some of its slots while others are nobody's. Their threads would wait for ever. */
function checkSlots(facts: ReadonlyMap<string, string>): void {
  const assigned = facts.get('cluster_slots_assigned')
  if (assigned !== String(SLOTS)) throw notFit(`is a cluster that serves ${assigned} of ${SLOTS} slots`)
}

function checkFacts(facts: ReadonlyMap<string, string>, { kind, waitAof }: RedisPlace): void {
  const version = facts.get('redis_version') ?? ''
  if (facts.get('redis_mode') === 'sentinel') throw notFit('is a sentinel; add ?sentinel=NAME of its master')
  if (facts.get('cluster_enabled') === '1' && kind !== 'cluster')
    throw notFit('is a node of a cluster; add ?cluster=true')
  if (version === '') throw notFit('is not a Redis: its INFO names no version')
  if (!(Number.parseInt(version, 10) >= MAJOR_MIN))
    throw notFit(`is Redis ${version}; it must be ${MAJOR_MIN}.0 or later`)
  // Sentinels name the next master before it is promoted.
  if (facts.get('role') !== 'master' && kind === 'sentinel')
    throw new RunnerError(
      'storage_unavailable',
      'The Redis that the sentinels name is no master yet; try again.',
    )
  if (facts.get('role') !== 'master')
    throw notFit('is a read-only replica; name the master, or its sentinels')
  const policy = facts.get('maxmemory_policy') ?? ''
  // Evicting only keys with an expiry is no better: those are leases, and logs with an age.
  if (facts.get('maxmemory') !== '0' && policy !== 'noeviction')
    throw notFit(`throws keys away when its memory is full (maxmemory-policy ${policy}); set noeviction`)
  if (!waitAof) return
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major * 100 + minor < 702) throw notFit(`is Redis ${version}, which has no WAITAOF; leave waitAof out`)
  if (facts.get('aof_enabled') !== '1')
    throw notFit('has no append-only file; set appendonly yes, or leave waitAof out')
}

/** Checks what is stored under our keys. @returns whether nothing of ours is there yet. */
async function checkKeys(ask: Ask, workspace: string): Promise<boolean> {
  const keys = [FORMAT_KEY, THREADS_KEY, workspace]
  const [format, threads, facts] = await Promise.all(keys.map((key) => ask('TYPE', key)))
  if (facts !== 'none' && facts !== 'hash')
    throw notFit(`holds something else under the key ${workspace}; use another database`)
  const found = format === 'string' ? String(await ask('GET', FORMAT_KEY)) : undefined
  if (found === FORMAT && (threads === 'set' || threads === 'none')) return false
  if (found?.startsWith(FORMAT.replace(/\d+$/, '')) === true && found !== FORMAT)
    throw notFit(`holds a log of another version (${found}, not ${FORMAT}); use another database`)
  const isEmpty = format === 'none' && threads === 'none'
  if (!isEmpty)
    throw notFit(`holds something else under the keys ${FORMAT_KEY} and ${THREADS_KEY}; use another database`)
  return true
}

/** Checks every command at the start: a forbidden one would otherwise fail in the middle of a run. */
async function checkRights({ kind, waitReplicas, waitAof }: RedisPlace, ask: Ask): Promise<void> {
  const { lua, sha } = RIGHTS
  const key = `${CHECK_KEY}:${randomUUID()}`
  for (const [command, script] of [
    ['EVAL', lua],
    ['EVALSHA', sha],
  ] as const) {
    const refused = String(await ask(command, script, 1, key, CHECK_KEY))
    if (refused !== '') throw notFit(`refuses its user a command (${refused})`)
  }
  // The client sends it while a slot moves to another node.
  if (kind === 'cluster') await ask('ASKING')
  if (waitReplicas > 0) await ask('WAIT', 0, 0)
  if (waitAof) await ask('WAITAOF', 0, 0, 0)
}

function refusal(error: unknown, then: unknown): RunnerError {
  const message = reasonOf(error) || reasonOf(then)
  const unfit = UNFIT.find(([says]) => says.test(message))
  if (unfit !== undefined) {
    const [, what, how] = unfit
    return notFit(`${what} (${message})${how === undefined ? '' : `; ${how}`}`, error)
  }
  const text = `The Redis that EVENT_LOG_URL names cannot be reached: ${message}.`
  return new RunnerError('storage_unavailable', text, { cause: error })
}

/** Returns the message of an error, or of the one that the client wraps, without a full stop. */
function reasonOf(error: unknown): string {
  const last = error instanceof Error && 'lastNodeError' in error ? error.lastNodeError : undefined
  const message = toMessage(last ?? error).replace(/^All sentinels are unreachable.*Last error: /, '')
  return message.replace(/[\s.]+$/, '')
}

function notFit(what: string, cause?: unknown): RunnerError {
  return new RunnerError('config_invalid', `The Redis that EVENT_LOG_URL names ${what}.`, { cause })
}
