import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  credentialFor,
  isBranchName,
  parseRepositoryName,
  parseRepositoryUrl,
} from '../../src/workspace/repository-url.ts'

const WEB = ['https', 'http'] as const
const HOSTS = { github: ['github.com'], gitlab: ['gitlab.com'] }
const TOKENS = { github: 'gh-token', gitlab: 'gl-token' }

describe('a URL is refused', () => {
  test.each([
    ['that is an option', '--upload-pack=touch /tmp/pwned'],
    ['that names a program', 'ext::sh -c touch% /tmp/pwned'],
    ['of a transport helper', 'fd::7'],
    ['of ssh', 'ssh://-oProxyCommand=touch/x'],
    ['in the short form of ssh', 'git@github.com:owner/repository.git'],
    ['of a file', 'file:///etc'],
    ['that is a path', '/etc'],
    ['with a line break', 'https://github.com/a/b\nhost=evil.example'],
    ['with a query', 'https://github.com/a/b?x'],
    ['that is too long', `https://github.com/${'a'.repeat(3000)}`],
  ])('%s', (_what, url) => {
    expect(() => parseRepositoryUrl(url, WEB)).toThrow(expect.objectContaining({ code: 'invalid_input' }))
  })
})

test('a refused URL is not repeated in the message', () => {
  expect(() => parseRepositoryUrl('ssh://user:hunter2@host/x', WEB)).toThrow(
    expect.objectContaining({ message: expect.not.stringContaining('hunter2') }),
  )
})

test('credentials in a URL are taken out of it', () => {
  const remote = parseRepositoryUrl('https://user:p%40ss@github.com/owner/name.git', WEB)
  expect(remote).toMatchObject({
    url: 'https://github.com/owner/name.git',
    name: 'name',
    userInfo: { username: 'user', password: 'p@ss' },
  })
  expect(parseRepositoryUrl('https://tok@github.com/a/b', WEB).userInfo).toEqual({
    username: 'x-access-token',
    password: 'tok',
  })
})

describe('a token goes', () => {
  const credential = (url: string) => credentialFor(parseRepositoryUrl(url, WEB), TOKENS, HOSTS)

  test('to its own host', () => {
    expect(credential('https://github.com/a/b')).toMatchObject({
      origin: 'https://github.com',
      password: 'gh-token',
    })
    expect(credential('https://gitlab.com/a/b')).toMatchObject({ username: 'oauth2', password: 'gl-token' })
  })

  test.each([
    'https://github.com.evil.example/a/b',
    'https://evil.example/github.com/b',
    'https://notgithub.com/a/b',
    'http://github.com/a/b',
  ])('never to %s', (url) => {
    expect(credential(url)).toBeUndefined()
  })
})

test.each(['../../victim', '..', '.', 'a/b', 'a\\b', 'x\0'])(
  'the name %j is a path and refused as one',
  (name) => {
    expect(() => parseRepositoryName(name)).toThrow(
      expect.objectContaining({ code: 'path_outside_workspace' }),
    )
  },
)

test.each(['-rf', '.git', '', 'a b', 'ä', 'n'.repeat(101)])('the name %j is none', (name) => {
  expect(() => parseRepositoryName(name)).toThrow(expect.objectContaining({ code: 'invalid_input' }))
})

test('a branch name is what git takes for one, and never an option', () => {
  const byGit = (name: string): boolean => {
    try {
      execFileSync('git', ['check-ref-format', `refs/heads/${name}`], { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  }
  const part = fc.oneof(
    fc.constantFrom(
      '/',
      '.',
      '..',
      '@{',
      '@',
      '-',
      '.lock',
      '~',
      '^',
      ':',
      '?',
      '*',
      '[',
      '\\',
      ' ',
      'a',
      'HEAD',
    ),
    fc.string({ maxLength: 3 }),
  )
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
      const name = parts.join('')
      if (name.includes('\0') || name === '') return
      const isSpecial = name.startsWith('-') || name === 'HEAD' || name === '@'
      // `.LOCK` is a name to git and a lock to some file systems.
      if (/\.lock$/im.test(name) && !/\.lock(\/|$)/.test(name)) return
      expect(isBranchName(name), JSON.stringify(name)).toBe(byGit(name) && !isSpecial)
    }),
    { numRuns: 150 },
  )
})
