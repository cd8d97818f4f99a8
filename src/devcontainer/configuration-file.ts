import { isDeepStrictEqual } from 'node:util'
import { isJsonObject, parseStrictJson, UnreadableError } from '../policy/request/strict-json.ts'
import { jsonText } from './devcontainer-files.ts'

/** Of a devcontainer.json these are people's own: they run inside, behind the lock, or only say what a tool shows. */
const FREE = new Set([
  'name',
  'customizations',
  'forwardPorts',
  'updateContentCommand',
  'postCreateCommand',
  'postAttachCommand',
])

type Members = Readonly<Record<string, unknown>>

/** What a devcontainer.json says, or why it cannot be known. */
export function readConfiguration(text: string): Members | string {
  try {
    const value = parseStrictJson(Buffer.from(text))
    return isJsonObject(value) ? value : 'it is no JSON object'
  } catch (error) {
    if (error instanceof UnreadableError) return `${error.message} (comments are none)`
    throw error
  }
}

/** The part that the lock stands on, in one spelling. */
export function lockedPart(members: Members): string {
  const locked = Object.entries(members).filter(([name]) => !FREE.has(name))
  return jsonText(Object.fromEntries(locked.sort(([one], [other]) => (one < other ? -1 : 1))))
}

/** Names of the locked members that are not as they should be. */
export function differences(found: Members, wanted: Members): string[] {
  const names = [...new Set([...Object.keys(wanted), ...Object.keys(found)])].filter(
    (name) => !FREE.has(name),
  )
  return names.filter((name) => !isDeepStrictEqual(found[name], wanted[name]))
}

/** The wanted one with what is people's own in the one that was found. */
export function keepFree(found: Members, wanted: Members): string {
  const free = Object.entries(found).filter(([name]) => FREE.has(name))
  return jsonText({ ...wanted, ...Object.fromEntries(free) })
}
