// Compares `.devcontainer` on the disk with the wanted files, and writes them. The hashes that were written with them
// show whether a person edited one.
import { createHash } from 'node:crypto'
import { lstat, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { hasErrno } from '../errno.ts'
import { RunnerError, toMessage } from '../errors.ts'
import { Choices } from './choices.ts'
import { differences, keepFree, lockedPart, readConfiguration } from './configuration-file.ts'
import { FOLDER } from './container-places.ts'
import { CONFIGURATION, devcontainerFiles, jsonText, type Wanted } from './devcontainer-files.ts'

/** The file with the choices that the files were made with, and their hashes. */
const RECORD = 'agui-runner.json'

const Recorded = Choices.extend({ files: z.record(z.string(), z.string()) })

/**
 * Reads the record of this repository's files. Returns undefined when there is none.
 *
 * @throws {RunnerError} `config_invalid` when it cannot be read or has another shape.
 */
export async function readRecord(root: string): Promise<z.infer<typeof Recorded> | undefined> {
  const text = await readText(root, RECORD)
  if (text === undefined) return undefined
  const value = readConfiguration(text)
  const parsed = Recorded.safeParse(value)
  if (parsed.success) return parsed.data
  throw refusal(
    `${FOLDER}/${RECORD} is not what init wrote. Take it from the repository's history, or remove it.`,
  )
}

/** Returns a sentence for each file that differs from what policy and choices make. */
export async function findDrift(root: string, wanted: Wanted, choices: Choices): Promise<string[]> {
  const sentences = await otherConfigurations(root)
  if (await isLink(join(root, FOLDER))) sentences.push(`${FOLDER} is a link, which can be changed inside.`)
  for (const [name, text] of withRecord(wanted, choices)) {
    const found = await readText(root, name)
    if (await isLink(join(root, FOLDER, name)))
      sentences.push(`${FOLDER}/${name} is a link: what it leads to can be changed inside.`)
    else if (found === undefined) sentences.push(`${FOLDER}/${name} is missing.`)
    else if (name !== CONFIGURATION) {
      if (found !== text) sentences.push(`${FOLDER}/${name} is not what ${choices.policy} makes.`)
    } else sentences.push(...configurationDrift(found, text))
  }
  return sentences
}

function configurationDrift(found: string, wanted: string): string[] {
  const members = readConfiguration(found)
  if (typeof members === 'string') return [`${FOLDER}/${CONFIGURATION} cannot be judged: ${members}.`]
  const names = differences(members, objectOf(wanted))
  return names.length === 0
    ? []
    : [`${FOLDER}/${CONFIGURATION}: ${names.join(', ')} differ from what init writes.`]
}

export interface WrittenFile {
  /** Names of the files that are new or changed. */
  changed: string[]
  /** Names of the changed files that a person had edited. */
  overwritten: string[]
}

/**
 * Writes the files that differ. A second call writes nothing.
 *
 * @throws {RunnerError} `config_invalid` when a file is not ours or was edited by a person, unless `isForced`; nothing
 *   is written then. Also when the folder cannot be written.
 */
export async function writeFiles(
  root: string,
  { wanted, choices, isForced }: { wanted: Wanted; choices: Choices; isForced: boolean },
): Promise<WrittenFile> {
  const record = isForced ? await readRecord(root).catch(() => undefined) : await readRecord(root)
  await refuseLink(root)
  const [other] = await otherConfigurations(root)
  if (other !== undefined && !isForced) throw refusal(`${other} Remove it, or leave it with --force.`)
  const texts = new Map<string, string>()
  const overwritten: string[] = []
  for (const [name, text] of withRecord(wanted, choices)) {
    const found = await readText(root, name)
    const next = found === undefined || name !== CONFIGURATION ? text : mergedConfiguration(found, text)
    // A link is replaced, whatever it leads to.
    const isLinked = await isLink(join(root, FOLDER, name))
    if (found === next && !isLinked) continue
    texts.set(name, next)
    const known = name === RECORD || found === undefined || record?.files[name] === hashOf(name, found)
    if (isLinked || (!known && !isSameLock(name, found, text))) overwritten.push(name)
  }
  if (overwritten.length > 0 && !isForced) throw refusal(whyNot(overwritten, record !== undefined))
  try {
    await mkdir(join(root, FOLDER), { recursive: true })
    for (const [name, text] of texts) await replace(join(root, FOLDER, name), text)
  } catch (error) {
    throw refusal(`${join(root, FOLDER)} cannot be written: ${toMessage(error)}.`)
  }
  return { changed: [...texts.keys()], overwritten }
}

function whyNot(names: readonly string[], isOurs: boolean): string {
  const files = names.map((name) => `${FOLDER}/${name}`).join(', ')
  return isOurs
    ? `${files}: edited since init wrote it. Take the edit back, or let it go with --force.`
    : `${files}: there already, and not from this command. Move it away, or let it go with --force.`
}

/** Returns the wanted files and their record, by name. */
function withRecord(wanted: Wanted, choices: Choices): ReadonlyMap<string, string> {
  const files = devcontainerFiles(wanted)
  const hashes = Object.fromEntries([...files].map(([name, text]) => [name, hashOf(name, text)]))
  return new Map([...files, [RECORD, jsonText({ ...choices, files: hashes })]])
}

/** Hashes a file. For devcontainer.json only the locked part counts, unless it cannot be read. */
function hashOf(name: string, text: string): string {
  const members = name === CONFIGURATION ? readConfiguration(text) : text
  return createHash('sha256')
    .update(typeof members === 'string' ? text : lockedPart(members))
    .digest('hex')
}

function isSameLock(name: string, found: string, wanted: string): boolean {
  return name === CONFIGURATION && configurationDrift(found, wanted).length === 0
}

function mergedConfiguration(found: string, wanted: string): string {
  const members = readConfiguration(found)
  if (typeof members === 'string') return wanted
  // When no locked member differs, the person's order and blanks are kept.
  return differences(members, objectOf(wanted)).length === 0 ? found : keepFree(members, objectOf(wanted))
}

function objectOf(text: string): Readonly<Record<string, unknown>> {
  const members = readConfiguration(text)
  if (typeof members === 'string') throw new Error(`what was written here is no configuration: ${members}`)
  return members
}

/** Finds a `.devcontainer.json`, which tools would offer beside ours and whose way out is open. */
async function otherConfigurations(root: string): Promise<string[]> {
  const name = '.devcontainer.json'
  const found = await lstat(join(root, name)).catch(() => undefined)
  return found === undefined ? [] : [`${name} is another dev container of this folder, without the lock.`]
}

/** Refuses a `.devcontainer` that is no folder: a link would lead elsewhere, and is not what the container mounts. */
async function refuseLink(root: string): Promise<void> {
  const folder = join(root, FOLDER)
  const found = await lstat(folder).catch(() => undefined)
  if (found !== undefined && !found.isDirectory()) throw refusal(`${folder} is no folder.`)
}

/** Of the workspace only the folder itself is read-only inside, and a link's target may be anywhere. */
async function isLink(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined)
  return found?.isSymbolicLink() === true
}

async function readText(root: string, name: string): Promise<string | undefined> {
  const file = join(root, FOLDER, name)
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw refusal(`${file} cannot be read: ${toMessage(error)}.`)
  }
}

/** Writes a file completely or not at all. What a repository has at the draft's name is removed: it may be a link. */
async function replace(file: string, text: string): Promise<void> {
  const draft = `${file}.new`
  try {
    await rm(draft, { force: true })
    await writeFile(draft, text, { mode: 0o644, flag: 'wx' })
    await rename(draft, file)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

function refusal(message: string): RunnerError {
  return new RunnerError('config_invalid', message)
}
