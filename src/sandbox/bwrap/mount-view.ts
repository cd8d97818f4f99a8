// Turns the file rules of a policy into a list of mounts: what is not mounted does not exist inside.
import { existsSync, readdirSync, readlinkSync, realpathSync } from 'node:fs'
import { decideFile, effectiveGrants } from '../../policy/decide/file-access.ts'
import type { Policy } from '../../policy/read/schema.ts'
import {
  IMAGE_APP,
  IMAGE_CLAUDE_STATE,
  IMAGE_HOME,
  IMAGE_WORKSPACE,
  INSIDE_TLS,
  isFolder,
  isWithin,
  type Places,
  statOf,
} from './places.ts'

export type Mount =
  | { kind: 'read' | 'write' | 'device'; source: string; target: string }
  | { kind: 'proc' | 'memory' | 'empty'; target: string }
  | { kind: 'link'; to: string; target: string }

export interface MountView {
  readonly mounts: readonly Mount[]
  readonly skipped: readonly { path: string; why: string }[]
  /** Listed read-only paths that are absent although the policy's hard_requirement demands them. */
  readonly missing: readonly string[]
}

/** Plans the mounts that every start shares; `protect` plans those that one start adds. */
export function planMounts(policy: Policy, places: Places): MountView {
  const { readOnly, readWrite } = effectiveGrants(policy, IMAGE_WORKSPACE)
  const grants = [
    ...readWrite.map((path) => ({ path, kind: 'write' as const })),
    // File rules are a union: below a writable path nothing is read-only.
    ...readOnly
      .filter((path) => !readWrite.some((writable) => isWithin(path, writable)))
      .map((path) => ({ path, kind: 'read' as const })),
  ]
  const mounts: Mount[] = []
  const skipped: { path: string; why: string }[] = []
  for (const { path, kind } of grants) {
    const planned = planGrant(path, kind, places)
    if (typeof planned === 'string') skipped.push({ path, why: planned })
    else mounts.push(...planned)
  }
  mounts.push(...topLinks(mounts), ...ownPlaces(policy, places, mounts))
  const isHard = policy.landlock?.compatibility === 'hard_requirement'
  const listed = policy.filesystem_policy?.read_only ?? []
  const missing = isHard ? skipped.map(({ path }) => path).filter((path) => listed.includes(path)) : []
  return { mounts: inOrder(mounts), skipped, missing }
}

function planGrant(path: string, kind: 'read' | 'write', places: Places): Mount[] | string {
  if (path === '/proc') return [{ kind: 'proc', target: path }]
  if (path === '/dev/shm') return [{ kind: 'memory', target: path }]
  if (path === '/tmp') {
    // A mount point below a folder that is writable inside could be exchanged for a link before the next start.
    const isParent = [places.workspace, places.claudeState, places.temporary].some((own) =>
      isWithin(own, path),
    )
    return isParent ? [{ kind: 'memory', target: path }] : [{ kind, source: places.temporary, target: path }]
  }
  if (path === IMAGE_HOME && !existsSync(path)) return [{ kind, source: places.home, target: path }]
  if (path === IMAGE_APP && !existsSync(path)) return []
  const stat = statOf(path)
  if (stat === undefined) return 'it does not exist on this machine'
  if (path === '/dev' || path.startsWith('/dev/')) return [{ kind: 'device', source: path, target: path }]
  if (!stat.isSymbolicLink()) return [{ kind, source: path, target: path }]
  if (!existsSync(path)) return 'it is a link that leads nowhere'
  const source = realpathSync(path)
  return [
    { kind: 'link', to: readlinkSync(path), target: path },
    { kind, source, target: source },
  ]
}

/** Returns the links in `/`, such as `/bin`, whose targets are mounted. */
function topLinks(mounts: readonly Mount[]): Mount[] {
  const planned = new Set(mounts.map(({ target }) => target))
  if (planned.has('/')) return []
  return readdirSync('/').flatMap((name): Mount[] => {
    const target = `/${name}`
    if (planned.has(target) || statOf(target)?.isSymbolicLink() !== true || !existsSync(target)) return []
    const real = realpathSync(target)
    const isThere = mounts.some((mount) => mount.kind !== 'link' && isWithin(real, mount.target))
    return isThere ? [{ kind: 'link', to: readlinkSync(target), target }] : []
  })
}

/** Returns the mounts of the runner's own places, which the image's names grant, and covers over hidden paths. */
function ownPlaces(policy: Policy, places: Places, mounts: readonly Mount[]): Mount[] {
  const covers = places.hidden.filter((path) => isVisible(path, mounts))
  const own = [
    { source: places.workspace, image: IMAGE_WORKSPACE },
    { source: places.claudeState, image: IMAGE_CLAUDE_STATE },
    { source: places.temporary, image: '/tmp' },
    { source: places.home, image: IMAGE_HOME },
  ].flatMap(({ source, image }): Mount[] => {
    const kind = accessTo(policy, [image, source])
    const isCovered = covers.some((cover) => isWithin(source, cover))
    if (kind === undefined || (isVisible(source, mounts) && !isCovered)) return []
    return [{ kind, source, target: source }]
  })
  return [
    ...covers.map((target): Mount => {
      return isFolder(target) ? { kind: 'empty', target } : { kind: 'read', source: '/dev/null', target }
    }),
    ...own,
    ...appMounts(places, mounts),
    { kind: 'read', source: places.tls, target: INSIDE_TLS },
    ...places.frozen
      .filter((path) => isVisible(path, [...mounts, ...own]))
      .map((path): Mount => ({ kind: 'read', source: path, target: path })),
  ]
}

/** Returns the mounts of the wrappers and the binary under the image's names; nothing else of the runner is shown. */
function appMounts({ wrappers, claude }: Places, mounts: readonly Mount[]): Mount[] {
  const isImage = mounts.some(({ target }) => target === IMAGE_APP)
  return [
    ...(isImage ? [] : [{ kind: 'read' as const, source: wrappers, target: `${IMAGE_APP}/wrappers` }]),
    ...(claude === undefined || (isImage && isWithin(claude, IMAGE_APP))
      ? []
      : [{ kind: 'read' as const, source: claude, target: insideClaude() }]),
  ]
}

/** Returns the path under which the image's policy lists the binary. */
export function insideClaude(): string {
  return `${IMAGE_APP}/node_modules/@anthropic-ai/claude-agent-sdk-linux-${process.arch}/claude`
}

function accessTo(policy: Policy, names: readonly string[]): 'read' | 'write' | undefined {
  const may = (op: 'read' | 'write'): boolean =>
    names.some((path) => decideFile(policy, { path, op, workdir: IMAGE_WORKSPACE }).verdict === 'allow')
  if (may('write')) return 'write'
  return may('read') ? 'read' : undefined
}

/** Decides whether one of the mounts shows `path` under its own name. */
export function isVisible(path: string, mounts: readonly Mount[]): boolean {
  return mounts.some(
    (mount) => 'source' in mount && mount.source === mount.target && isWithin(path, mount.target),
  )
}

/** Drops later mounts of an equal target, except covers, and sorts outer before inner; the sort is stable. */
function inOrder(mounts: readonly Mount[]): Mount[] {
  const depth = ({ target }: Mount): number => (target === '/' ? 0 : target.split('/').length - 1)
  const seen = new Set<string>()
  return mounts
    .filter(({ target, kind }) => {
      if (seen.has(target) && kind !== 'empty') return false
      seen.add(target)
      return true
    })
    .sort((left, right) => depth(left) - depth(right))
}
