// The runner's only reading of HTTPS_PROXY, NO_PROXY and the like. It copies Claude Code 2.1.329 and 2.1.332, as
// measured (docs/decisions/2026-11-28-proxies.md), so that requests for the same address take the same way.
import { BlockList, isIP } from 'node:net'
import { RunnerError } from './errors.ts'

type Env = Readonly<Record<string, string | undefined>>

export interface ProxyTarget {
  /** A name, or an address with or without brackets. */
  host: string
  port: number
}

export interface HttpProxy {
  /** Whether the connection to the proxy itself uses TLS. */
  readonly isSecure: boolean
  /** Without brackets. */
  readonly host: string
  readonly port: number
  /** The value of Proxy-Authorization, a secret; undefined when the proxy's URL has no credentials. */
  readonly authorization: string | undefined
}

/** The variables in the order of precedence, for http and https alike. An empty one counts as unset. */
const VARIABLES = [
  'https_proxy',
  'HTTPS_PROXY',
  'http_proxy',
  'HTTP_PROXY',
  'all_proxy',
  'ALL_PROXY',
] as const
/** Every variable that is read here. Programs that the runner starts get them, so that they take the same way. */
export const PROXY_VARIABLES = [...VARIABLES, 'no_proxy', 'NO_PROXY'] as const

export interface ProxySettings {
  /**
   * Returns the proxy for a target, and undefined for a direct connection.
   *
   * @throws {RunnerError} `config_invalid` when the configured proxy cannot be used.
   */
  proxyFor(target: ProxyTarget): HttpProxy | undefined
}

export function proxySettings(env: Env): ProxySettings {
  const variable = VARIABLES.find((name) => (env[name] ?? '') !== '')
  const noProxy = env['no_proxy'] || env['NO_PROXY'] || ''
  return {
    proxyFor(target) {
      if (variable === undefined) return undefined
      return proxyOn(target, { variable, value: env[variable] ?? '', noProxy })
    },
  }
}

/**
 * Returns the proxy of one variable for a target, and undefined where `NO_PROXY` exempts the target.
 *
 * @throws {RunnerError} `config_invalid` when the proxy cannot be used. A malformed address is refused whatever
 *   `NO_PROXY` says, as Claude Code would not start. ALL_PROXY is checked only when a target goes through it.
 */
export function proxyOn(
  target: ProxyTarget,
  { variable, value, noProxy }: { variable: string; value: string; noProxy: string },
): HttpProxy | undefined {
  const isUsable = /^all_/i.test(variable) || addressOf(variable, value) !== undefined
  return isUsable && goesDirect(noProxy, target) ? undefined : readProxy(variable, value)
}

/** The forms of an address without a scheme, by the variable's name. In HTTP_PROXY an address needs its scheme. */
const WITHOUT_SCHEME = [
  ['HTTPS_PROXY', /^(?:\[[0-9a-f:.]+\]|[^\s:/@[\]]+):\d+\/?$/i],
  ['ALL_PROXY', /^(?:\[[0-9a-f:.]+\]|[^\s:/@[\]]+)(?::\d+)?(?:\/\S*)?$/i],
] as const

/**
 * Returns the proxy that a variable names.
 *
 * @throws {RunnerError} `config_invalid`. Its message omits the value, which may contain a password.
 */
export function readProxy(variable: string, value: string): HttpProxy {
  const url = addressOf(variable, value)
  const isSecure = url?.protocol === 'https:'
  if (url === undefined || (url.protocol !== 'http:' && !isSecure)) {
    const message = `${variable} is not the address of an http or https proxy; it has to be like http://proxy.example:3128 for Claude Code to use it.`
    throw new RunnerError('config_invalid', message)
  }
  return {
    isSecure,
    host: withoutBrackets(url.hostname),
    port: Number(url.port || (isSecure ? 443 : 80)),
    authorization: authorizationOf(url),
  }
}

function addressOf(variable: string, value: string): URL | undefined {
  const isBare = WITHOUT_SCHEME.some(([name, form]) => name === variable.toUpperCase() && form.test(value))
  const text = isBare ? `http://${value}` : value
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url?.hostname === '' ? undefined : url
}

function authorizationOf({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined
  try {
    const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
    return `Basic ${Buffer.from(text).toString('base64')}`
  } catch {
    // The credentials are not valid percent encoding, so none are sent.
    return undefined
  }
}

/**
 * Whether `NO_PROXY` exempts the target from the proxy. Its entries are separated by commas, spaces, tabs, line feeds
 * or carriage returns. An entry is `*`, a name, an address, or a CIDR range. A name covers its subdomains, with or
 * without `.` or `*.` before it. A name or an address may have a port.
 */
function goesDirect(noProxy: string, { host, port }: ProxyTarget): boolean {
  const name = withoutDot(withoutBrackets(host.toLowerCase()))
  return noProxy
    .toLowerCase()
    .split(/[,\t\n\r ]+/)
    .some((entry) => entry === '*' || covers(entry, name, port))
}

function covers(entry: string, name: string, port: number): boolean {
  const range = /^\[?([0-9a-f:.]+)\]?\/(\d+)$/.exec(entry)
  if (range !== null) return isInRange(name, range[1] ?? '', Number(range[2]))
  // A port can follow an IPv6 address only when the address is in brackets.
  const withPort = familyOf(entry) === 6 ? null : /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(entry)
  if (withPort !== null && Number(withPort[2]) !== port) return false
  const wanted = withoutDot(withoutBrackets(withPort?.[1] ?? entry).replace(/^\*?\./, ''))
  if (familyOf(name) !== 0) return isInRange(name, wanted, familyOf(wanted) === 4 ? 32 : 128)
  return wanted !== '' && (name === wanted || name.endsWith(`.${wanted}`))
}

/** The length of an address in bits, by family. */
const BITS = { 4: 32, 6: 128 } as const
const MAPPED_BITS = BITS[6] - BITS[4]

/**
 * Whether an address is in a range. An IPv4-mapped IPv6 address counts as the IPv4 address, on both sides. Text that is
 * no address is in no range.
 */
function isInRange(address: string, network: string, bits: number): boolean {
  const [wanted, of] = [toPlain(address), toPlain(network)]
  const family = familyOf(of)
  const length = of === network ? bits : bits - MAPPED_BITS
  if (family === 0 || familyOf(wanted) !== family || length < 0 || length > BITS[family]) return false
  const list = new BlockList()
  list.addSubnet(of, length, `ipv${family}`)
  return list.check(wanted, `ipv${family}`)
}

function toPlain(address: string): string {
  if (familyOf(address) !== 6) return address
  // The URL parser writes every address in its canonical form.
  const canonical = withoutBrackets(new URL(`http://[${address}]`).hostname)
  const [, high, low] = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(canonical) ?? []
  if (high === undefined || low === undefined) return address
  const parts = [high, low].map((part) => Number.parseInt(part, 16))
  return parts.flatMap((part) => [part >> 8, part & 255]).join('.')
}

/** Returns 4 or 6, and 0 for text that is no address or an address with a zone. */
function familyOf(text: string): 0 | 4 | 6 {
  const family = text.includes('%') ? 0 : isIP(text)
  return family === 4 || family === 6 ? family : 0
}

const withoutBrackets = (host: string): string => host.replace(/^\[(.*)\]$/, '$1')

const withoutDot = (name: string): string => name.replace(/(?<=[^.])\.$/, '')
