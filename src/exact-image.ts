/** An image reference. None can be taken for an option. */
const IMAGE = /^[a-z0-9][a-z0-9._/:-]*(?::(?<tag>\w[\w.-]{0,127})|@sha256:[0-9a-f]{64})$/

/** The form that an image has to have, for messages. */
export const EXACT_IMAGE = 'an exact tag, not latest, or a digest: name:1.2.3 or name@sha256:…'

/** Whether a reference names the same image tomorrow. */
export function isExactImage(text: string): boolean {
  const reference = IMAGE.exec(text)
  return reference !== null && reference.groups?.['tag'] !== 'latest'
}
