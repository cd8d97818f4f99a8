import { isDeepStrictEqual } from 'node:util'
import { isJsonObject, parseStrictJson, UnreadableError } from '../policy/request/strict-json.ts'
import { POLICY_PROXY_PORT } from './container-places.ts'
import { jsonText } from './devcontainer-files.ts'

/** The members of devcontainer.json that people may edit: they act inside, behind the lock, or on a display only. */
const FREE_NAMES = new Set([
  'name',
  'customizations',
  'forwardPorts',
  'updateContentCommand',
  'postCreateCommand',
  'postAttachCommand',
])

type Members = Readonly<Record<string, unknown>>

/** Whether people may edit the member. The proxy's port stays inside: on the developer's loopback any web page reaches it. */
function isFree(name: string, { [name]: value }: Members): boolean {
  const isProxy = (port: unknown): boolean => String(port).replace(/^.*:/, '') === String(POLICY_PROXY_PORT)
  return FREE_NAMES.has(name) && !(name === 'forwardPorts' && [value].flat().some(isProxy))
}

/** Parses a devcontainer.json. Returns its members, or the reason why it cannot be read. */
export function readConfiguration(text: string): Members | string {
  try {
    const value = parseStrictJson(Buffer.from(text))
    return isJsonObject(value) ? value : 'it is no JSON object'
  } catch (error) {
    if (error instanceof UnreadableError) return `${error.message} (comments are none)`
    throw error
  }
}

/** Returns the members that the lock depends on, as JSON with sorted names. */
export function lockedPart(members: Members): string {
  const locked = Object.entries(members).filter(([name]) => !isFree(name, members))
  return jsonText(Object.fromEntries(locked.sort(([one], [other]) => (one < other ? -1 : 1))))
}

/** Returns the names of the locked members that differ. */
export function differences(found: Members, wanted: Members): string[] {
  const names = [...new Set([...Object.keys(wanted), ...Object.keys(found)])].filter(
    (name) => !isFree(name, found),
  )
  return names.filter((name) => !isDeepStrictEqual(found[name], wanted[name]))
}

/** Returns the wanted configuration with the free members of the found one, as JSON. */
export function keepFree(found: Members, wanted: Members): string {
  const free = Object.entries(found).filter(([name]) => isFree(name, found))
  return jsonText({ ...wanted, ...Object.fromEntries(free) })
}
