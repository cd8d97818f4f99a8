/** The ASCII characters that are allowed at one place of a token. Tokens hold no other characters. */
export type CharacterClass = Uint8Array

const ASCII = 128

const known = new Map<string, CharacterClass>()

/** Creates a class from the inside of a regular expression's brackets, such as `A-Za-z0-9_`. */
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
