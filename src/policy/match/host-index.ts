import { hostSteps, languagesMeet, type Step } from './overlap.ts'

/** A host or pattern, with the text behind its last star turned around: hosts with one ending then stand together. */
interface Host {
  name: string
  isPattern: boolean
  /** The text before the first star, and behind the last. */
  head: string
  tail: string
  backwards: string
  /** Made when it is compared first. */
  steps?: Step[]
}

/**
 * Finds which of many hosts can meet one of them without comparing all pairs. An empty host is any host. Names count in
 * lower case.
 */
export class HostIndex {
  readonly #hosts = new Map<string, Host>()
  readonly #sorted: readonly Host[]

  constructor(names: Iterable<string>) {
    for (const name of names) this.#hosts.set(name, toHost(name))
    this.#sorted = [...this.#hosts.values()].sort((one, other) => (one.backwards < other.backwards ? -1 : 1))
  }

  /** Returns the hosts of which some name is also one of `name`, itself among them. `mayCount` is asked first. */
  *meeting(name: string, mayCount: (name: string) => boolean): Generator<string> {
    const host = this.#hosts.get(name) ?? toHost(name)
    for (const other of this.#candidates(host)) {
      if (!mayCount(other.name)) continue
      if (other.name === name || meet(host, other)) yield other.name
    }
  }

  /** Returns the hosts whose ending is an ending of this one, or the other way round. */
  *#candidates(host: Host): Generator<Host> {
    const { backwards, isPattern } = host
    for (let length = 0; length < backwards.length; length += 1) {
      const ending = backwards.slice(0, length)
      for (const other of this.#from(ending)) {
        if (other.backwards !== ending) break
        if (other.isPattern) yield other
      }
    }
    for (const other of this.#from(backwards)) {
      if (!other.backwards.startsWith(backwards)) break
      if (isPattern || other.backwards === backwards) yield other
    }
  }

  /** Returns the hosts in their order, from the first whose turned ending is not before this one. */
  *#from(backwards: string): Generator<Host> {
    let [low, high] = [0, this.#sorted.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#sorted[middle]?.backwards ?? '') < backwards) low = middle + 1
      else high = middle
    }
    for (; low < this.#sorted.length; low += 1) {
      const host = this.#sorted[low]
      if (host !== undefined) yield host
    }
  }
}

function toHost(name: string): Host {
  const pattern = name === '' ? '**' : name.toLowerCase()
  const [head = ''] = pattern.split('*')
  const tail = pattern.slice(pattern.lastIndexOf('*') + 1)
  const backwards = [...tail].reverse().join('')
  return { name, isPattern: pattern.includes('*'), head, tail, backwards }
}

function meet(one: Host, other: Host): boolean {
  if (!one.head.startsWith(other.head) && !other.head.startsWith(one.head)) return false
  if (!one.isPattern && !other.isPattern) return one.head === other.head
  return languagesMeet(stepsOf(one), stepsOf(other))
}

function stepsOf(host: Host): Step[] {
  host.steps ??= hostSteps(host.name === '' ? '**' : host.name.toLowerCase())
  return host.steps
}
