// The one reading of HTTPS_PROXY, NO_PROXY and their kin: that of Claude Code 2.1.329 and 2.1.332, measured
// (docs/decisions/2026-11-28-proxies.md). Whoever asks for the same address goes the same way.
import { BlockList, isIP } from 'node:net'
import { RunnerError } from './errors.ts'

type Env = Readonly<Record<string, string | undefined>>

export interface ProxyTarget {
  /** A name, or an address with or without brackets. */
  host: string
  port: number
}

export interface HttpProxy {
  /** TLS is spoken to the proxy itself. */
  readonly isSecure: boolean
  /** Without brackets. */
  readonly host: string
  readonly port: number
  /** Value of Proxy-Authorization; a secret. */
  readonly authorization: string | undefined
}

/** In the order in which they are looked at, for http and https alike; an empty one counts as unset. */
const VARIABLES = ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY']

export interface ProxySettings {
  /**
   * Undefined: dial directly.
   *
   * @throws {RunnerError} `config_invalid` when there is one that cannot be used.
   */
  proxyFor(target: ProxyTarget): HttpProxy | undefined
}

export function proxySettings(env: Env): ProxySettings {
  const variable = VARIABLES.find((name) => (env[name] ?? '') !== '')
  const noProxy = env['no_proxy'] || env['NO_PROXY'] || ''
  return {
    proxyFor(target) {
      if (variable === undefined || goesDirect(noProxy, target)) return undefined
      return readProxy(variable, env[variable] ?? '')
    },
  }
}

/** What may stand without a scheme, by the end of the variable's name; in HTTP_PROXY nothing may. */
const WITHOUT_SCHEME = [
  ['HTTPS_PROXY', /^(?:\[[0-9a-f:.]+\]|[^\s:/@[\]]+):\d+\/?$/i],
  ['ALL_PROXY', /^(?:\[[0-9a-f:.]+\]|[^\s:/@[\]]+)(?::\d+)?(?:\/\S*)?$/i],
] as const

/**
 * The proxy that a variable names.
 *
 * @throws {RunnerError} `config_invalid`, without the value: it may hold a password.
 */
export function readProxy(variable: string, value: string): HttpProxy {
  const isBare = WITHOUT_SCHEME.some(([name, form]) => name === variable.toUpperCase() && form.test(value))
  const text = isBare ? `http://${value}` : value
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isSecure = url?.protocol === 'https:'
  if (url === undefined || url.hostname === '' || (url.protocol !== 'http:' && !isSecure)) {
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

function authorizationOf({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined
  try {
    const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
    return `Basic ${Buffer.from(text).toString('base64')}`
  } catch {
    // Not in percent encoding; nothing is sent then.
    return undefined
  }
}

/**
 * Whether `NO_PROXY` takes the target past the proxy. Its entries are parted by commas or blanks: `*`; a name, which
 * covers its subdomains, with or without `.` or `*.` before it; an address; any of them with a port; a CIDR range.
 */
export function goesDirect(noProxy: string, { host, port }: ProxyTarget): boolean {
  const name = withoutDot(withoutBrackets(host.toLowerCase()))
  return noProxy
    .toLowerCase()
    .split(/[,\s]+/)
    .some((entry) => entry === '*' || covers(entry, name, port))
}

function covers(entry: string, name: string, port: number): boolean {
  const range = /^\[?([0-9a-f:.]+)\]?\/(\d+)$/.exec(entry)
  if (range !== null) return isInRange(name, range[1] ?? '', Number(range[2]))
  // An IPv6 address without brackets has no port.
  const withPort = familyOf(entry) === 6 ? null : /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(entry)
  if (withPort !== null && Number(withPort[2]) !== port) return false
  const wanted = withoutDot(withoutBrackets(withPort?.[1] ?? entry).replace(/^\*?\./, ''))
  if (familyOf(name) !== 0) return isInRange(name, wanted, familyOf(wanted) === 4 ? 32 : 128)
  return wanted !== '' && (name === wanted || name.endsWith(`.${wanted}`))
}

/** Bits of the addresses of a family. */
const BITS = { 4: 32, 6: 128 } as const
const MAPPED_BITS = BITS[6] - BITS[4]

/** An IPv4 address written as an IPv6 one is the IPv4 one, on both sides. What is no address is in no range. */
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
  // The URL parser writes every address in one way.
  const canonical = withoutBrackets(new URL(`http://[${address}]`).hostname)
  const [, high, low] = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(canonical) ?? []
  if (high === undefined || low === undefined) return address
  const parts = [high, low].map((part) => Number.parseInt(part, 16))
  return parts.flatMap((part) => [part >> 8, part & 255]).join('.')
}

/** 0 for what is no address, and for an address with a zone. */
function familyOf(text: string): 0 | 4 | 6 {
  const family = text.includes('%') ? 0 : isIP(text)
  return family === 4 || family === 6 ? family : 0
}

const withoutBrackets = (host: string): string => host.replace(/^\[(.*)\]$/, '$1')

const withoutDot = (name: string): string => name.replace(/(?<=[^.])\.$/, '')
