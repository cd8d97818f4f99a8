/** Which ASCII characters a place in a token may have; no token has others. */
export type CharacterClass = Uint8Array

const ASCII = 128

const known = new Map<string, CharacterClass>()

/** From the inside of a regular expression's brackets, as in `A-Za-z0-9_`. */
export function createClass(range: string): CharacterClass {
  const before = known.get(range)
  if (before !== undefined) return before
  const member = new RegExp(`[${range}]`)
  const characters = Uint8Array.from({ length: ASCII }, (_, code) =>
    member.test(String.fromCharCode(code)) ? 1 : 0,
  )
  known.set(range, characters)
  return characters
}

export function isIn(characters: CharacterClass, code: number): boolean {
  return characters[code] === 1
}
