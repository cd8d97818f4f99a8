// Dockerfile.openshell and .dockerignore as texts: the parser's own findings, hadolint's rules, shellcheck on every
// RUN, and what has to be the same in two places.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { validate } from 'dockerfile-utils'
import { describe, expect, test } from 'vitest'
import { parseDockerfile, readDockerfile } from '../support/dockerfile.ts'
import { RULES } from '../support/dockerfile-rules.ts'
import { readIgnoreFile } from '../support/image-tree.ts'

const dockerfile = readDockerfile()
const runtime = dockerfile.stages.at(-1)?.instructions ?? []
const SHELLCHECK = 'shellcheck'
const canCheck = spawnSync(SHELLCHECK, ['--version']).status === 0

function packages(): [path: string, entry: Record<string, unknown>][] {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'))
  return Object.entries<Record<string, unknown>>(lock.packages).filter(([path]) => path !== '')
}

test('the parser has nothing to say', () => {
  expect(
    validate(dockerfile.source).map(({ range, message }) => `${range.start.line + 1}: ${message}`),
  ).toEqual([])
})

describe.each(RULES)('$name', ({ check, broken }) => {
  test('holds', () => {
    expect(check(dockerfile)).toEqual([])
  })

  test('is seen where it does not', () => {
    expect(check(parseDockerfile(broken)).length).toBeGreaterThan(0)
  })
})

test
  .skipIf(!canCheck && process.env['CI'] !== 'true')
  .each(dockerfile.instructions.filter(({ keyword }) => keyword === 'RUN'))(
  'shellcheck has nothing to say about the RUN in line $line',
  ({ text }) => {
    const done = spawnSync(SHELLCHECK, ['--shell=sh', '--severity=style', '-'], {
      input: text,
      encoding: 'utf8',
    })
    expect(done.stdout).toBe('')
    expect(done.status).toBe(0)
  },
)

test('the builder gets what is copied and nothing else', () => {
  const copied = dockerfile.instructions
    .filter(({ keyword, flags }) => keyword === 'COPY' && flags['from'] === undefined)
    .flatMap(({ words }) => words.slice(0, -1))
  const ignored = readIgnoreFile('.dockerignore')
  expect(copied.filter(ignored)).toEqual([])
  const named = readFileSync('.dockerignore', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('!'))
  expect(new Set(named)).toEqual(new Set(copied.map((path) => `!${path.split('/')[0]}`)))
})

test('what OpenShell’s supervisor and a managed launcher run is installed, and looked for at the end', () => {
  const runs = runtime.filter(({ keyword }) => keyword === 'RUN').map(({ text }) => text)
  for (const name of ['iproute2', 'libjemalloc2', 'nftables', 'python3', 'util-linux'])
    expect(runs[0]).toContain(`'${name}=`)
  for (const tool of ['ip', 'nft', 'nsenter', 'python3'])
    expect(runs[0]).toMatch(new RegExp(`command -v ${tool}[ ;]`))
  for (const path of [/ ip /, /\/usr\/sbin\/nft/, / nsenter /, /\/sandbox\/\.venv\/bin\/python/])
    expect(runs.at(-1)).toMatch(path)
  const folder = runtime.filter(({ keyword }) => keyword === 'WORKDIR').at(-1)
  expect(folder?.words).toEqual(['/sandbox'])
})

test('the version is the package’s', () => {
  const { version, license } = JSON.parse(readFileSync('package.json', 'utf8'))
  const defaults = runtime.filter(({ keyword }) => keyword === 'ARG').flatMap(({ pairs }) => pairs)
  expect(defaults).toContainEqual(['VERSION', version])
  const labels = runtime.filter(({ keyword }) => keyword === 'LABEL').flatMap(({ pairs }) => pairs)
  expect(labels).toContainEqual(['org.opencontainers.image.licenses', license])
})

test('Claude Code is pinned to one version, with its integrity, in the lock file', () => {
  const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8'))
  const pinned = dependencies['@anthropic-ai/claude-agent-sdk']
  const entries = packages().filter(([path]) => /@anthropic-ai\/claude-agent-sdk(-linux-x64)?$/.test(path))
  expect(entries).toHaveLength(2)
  for (const [, entry] of entries) {
    expect(entry).toMatchObject({ version: pinned, integrity: expect.stringMatching(/^sha512-/) })
  }
})

test('npm ci finds every package in the lock file, those of other platforms too', () => {
  const known = new Set(packages().map(([path]) => path))
  const missing = packages().flatMap(([path, { optionalDependencies = {} }]) => {
    const folders = path
      .split('/node_modules/')
      .map((_, at, all) => `${all.slice(0, at + 1).join('/node_modules/')}/`)
    const found = (name: string): boolean =>
      [...folders, ''].some((folder) => known.has(`${folder}node_modules/${name}`))
    return Object.keys(Object(optionalDependencies)).filter((name) => !found(name))
  })
  expect(missing).toEqual([])
})

test('what is installed on the image’s platform has an integrity', () => {
  const bare = packages().filter(([path, { integrity, os, cpu, libc, link }]) => {
    // The workspace's own package comes from the context, not from a registry.
    if (link === true || path === 'packages/client') return false
    const fits = (list: unknown, value: string): boolean => !Array.isArray(list) || list.includes(value)
    return integrity === undefined && fits(os, 'linux') && fits(cpu, 'x64') && fits(libc, 'glibc')
  })
  expect(bare.map(([path]) => path)).toEqual([])
})
