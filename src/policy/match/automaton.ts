// The automaton that globs compile to. A match takes at most (pattern length × text length) steps: no backtracking.

/** A set of bytes: index = byte, 1 = member. */
export type ByteSet = Uint8Array

/** A regular expression over bytes. `all` is a sequence, `any` a choice, `star` zero or more. */
export type Node = { bytes: ByteSet } | { all: readonly Node[] } | { any: readonly Node[] } | { star: Node }

export const EMPTY: Node = { all: [] }
export const ANY: Node = { bytes: byteSet(() => true) }
export const ANYTHING: Node = { star: ANY }

/** With `bytes`, an instruction consumes one of them and goes on; else it goes to all `jumps` and consumes nothing. */
interface Instruction {
  bytes?: ByteSet
  jumps: readonly number[]
}

export function byteSet(isMember: (byte: number) => boolean): ByteSet {
  return Uint8Array.from({ length: 256 }, (_, byte) => (isMember(byte) ? 1 : 0))
}

/** The sets of single bytes, each made once: a policy of thousands of globs has every letter as often. */
const singles = new Map<number, ByteSet>()

function single(byte: number): ByteSet {
  const bytes = singles.get(byte) ?? new Uint8Array(256).fill(1, byte, byte + 1)
  singles.set(byte, bytes)
  return bytes
}

export function literal(text: string): Node {
  return { all: [...Buffer.from(text, 'utf8')].map((byte) => ({ bytes: single(byte) })) }
}

export class Automaton {
  readonly #program: Instruction[] = []

  constructor(root: Node) {
    this.#emit(root)
  }

  /** Whether the whole text matches. It is compared byte by byte, as UTF-8. */
  matches(text: string): boolean {
    let current = this.#closure([0])
    for (const byte of Buffer.from(text, 'utf8')) {
      const targets: number[] = []
      for (const state of current) {
        if (this.#program[state]?.bytes?.[byte] === 1) targets.push(state + 1)
      }
      if (targets.length === 0) return false
      current = this.#closure(targets)
    }
    return current.includes(this.#program.length)
  }

  #closure(starts: readonly number[]): number[] {
    const seen = new Uint8Array(this.#program.length + 1)
    const pending = [...starts]
    const states: number[] = []
    for (let state = pending.pop(); state !== undefined; state = pending.pop()) {
      if (seen[state] === 1) continue
      seen[state] = 1
      const instruction = this.#program[state]
      if (instruction === undefined || instruction.bytes !== undefined) states.push(state)
      else pending.push(...instruction.jumps)
    }
    return states
  }

  #emit(node: Node): void {
    if ('bytes' in node) this.#program.push({ bytes: node.bytes, jumps: [] })
    else if ('all' in node) for (const part of node.all) this.#emit(part)
    else if ('star' in node) this.#emitStar(node.star)
    else this.#emitChoice(node.any)
  }

  #emitStar(body: Node): void {
    const start = this.#program.length
    this.#program.push({ jumps: [] })
    this.#emit(body)
    this.#program.push({ jumps: [start] })
    this.#program[start] = { jumps: [start + 1, this.#program.length] }
  }

  #emitChoice(choices: readonly Node[]): void {
    const start = this.#program.length
    this.#program.push({ jumps: [] })
    const entries: number[] = []
    const exits: number[] = []
    for (const choice of choices) {
      entries.push(this.#program.length)
      this.#emit(choice)
      exits.push(this.#program.length)
      this.#program.push({ jumps: [] })
    }
    this.#program[start] = { jumps: entries }
    for (const exit of exits) this.#program[exit] = { jumps: [this.#program.length] }
  }
}
