import { FLUSH_PKT, pktLine } from './pkt-line.ts'
import { Refusal } from './refusal.ts'

export interface Push {
  /** The pushed refs; none for the lone flush with which git asks before a large push. */
  refs: readonly string[]
  capabilities: ReadonlySet<string>
}

interface Command {
  isDeletion: boolean
  ref: string
}

const COMMAND = /^(?:[0-9a-f]{40} ([0-9a-f]{40})|[0-9a-f]{64} ([0-9a-f]{64})) (\S+)$/
const SHALLOW = /^shallow (?:[0-9a-f]{40}|[0-9a-f]{64})$/
/** A ref by git-check-ref-format, of printable ASCII only, so that a name has one spelling. */
const REF = /^refs(?:\/(?!\.)[A-Za-z0-9_+=,.@#%&'"!$();<>|{}-]+(?<!\.lock)(?<!\.))+$/

/**
 * Judges the commands of a push. Returns the refused refs with their reasons. Push options are refused, because they are
 * orders to the server: one makes a private repository public in Forgejo (`-o repo.private=false`), one merges in GitLab.
 *
 * @throws {Refusal} for commands that cannot be read with certainty.
 */
export function judgePush(
  lines: readonly Buffer[],
  branchPrefix: string,
): Push & { refused: ReadonlyMap<string, string> } {
  const commands: Command[] = []
  let capabilities = new Set<string>()
  for (const line of lines) {
    const [text = '', more] = splitOnce(line.toString('latin1').replace(/\n$/, ''), '\0')
    if (more !== undefined) {
      if (commands.length > 0) throw new Refusal('The push names capabilities twice.', 400)
      capabilities = capabilitiesIn(more)
    }
    if (more === undefined && SHALLOW.test(text)) continue
    const [, short, long, ref = ''] = COMMAND.exec(text) ?? []
    const id = short ?? long
    if (id === undefined) throw new Refusal('The push holds what is no update of a branch.', 403)
    commands.push({ isDeletion: /^0+$/.test(id), ref })
  }
  const prefix = `refs/heads/${branchPrefix}`
  const refused = new Map<string, string>()
  for (const { ref, isDeletion } of commands) {
    if (capabilities.has('push-options')) refused.set(ref, 'push options are not passed on')
    else if (
      !ref.startsWith(prefix) ||
      ref.length === prefix.length ||
      !REF.test(ref) ||
      /\.\.|@\{|\/\//.test(ref)
    )
      refused.set(ref, `only branches that begin with ${branchPrefix} may be pushed`)
    else if (isDeletion) refused.set(ref, 'branches may not be deleted')
  }
  return { refs: commands.map(({ ref }) => ref), capabilities, refused }
}

/** Builds git's own report that every ref is refused: half a push is none. */
export function refusalReport({ refs, capabilities }: Push, refused: ReadonlyMap<string, string>): Buffer {
  const lines = refs.map((ref) => `ng ${ref} ${refused.get(ref) ?? 'another ref of this push is refused'}\n`)
  const report = Buffer.concat([...['unpack ok\n', ...lines].map(pktLine), FLUSH_PKT])
  if (!capabilities.has('side-band-64k') && !capabilities.has('side-band')) return report
  const piece = capabilities.has('side-band-64k') ? SIDE_BAND_64K : SIDE_BAND
  const pieces: Buffer[] = []
  for (let at = 0; at < report.length; at += piece) {
    pieces.push(pktLine(Buffer.concat([Buffer.from([1]), report.subarray(at, at + piece)])))
  }
  return Buffer.concat([...pieces, FLUSH_PKT])
}

const SIDE_BAND = 995
const SIDE_BAND_64K = 65_515

/** Returns the names as git's server finds them: between white space of any kind, with a value or without one. */
function capabilitiesIn(text: string): Set<string> {
  return new Set(text.split(/\s+/).map((one) => one.replace(/=.*/, '')))
}

function splitOnce(text: string, by: string): [string, string | undefined] {
  const at = text.indexOf(by)
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + by.length)]
}
