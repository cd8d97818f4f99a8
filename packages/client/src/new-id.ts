const ID_BYTES = 12

/** Random bytes in hexadecimal. Browsers keep `randomUUID` from pages that came over plain HTTP from another machine. */
export function newId(bytes: number = ID_BYTES): string {
  const random = crypto.getRandomValues(new Uint8Array(bytes))
  return [...random].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
