import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { FileRequest } from '../../src/policy/decide/decision.ts'
import { decideFile, effectiveGrants } from '../../src/policy/decide/file-access.ts'
import { policyOf } from './policy-source.ts'

const policy = policyOf({
  version: 1,
  filesystem_policy: { read_only: ['/usr/', '/etc'], read_write: ['/sandbox', '/dev/null'] },
})
const verdict = (request: FileRequest): string => decideFile(policy, request).verdict

describe('where a path lies', () => {
  test.each([
    ['/sandbox', 'write', 'allow'],
    ['/sandbox/../etc/passwd', 'write', 'deny'],
    ['/sandbox/../etc/passwd', 'read', 'allow'],
    ['/sandbox//a/./b', 'write', 'allow'],
    ['/sandboxed', 'write', 'deny'],
    ['/usr/bin/node', 'exec', 'allow'],
    ['/dev/null', 'write', 'allow'],
    ['/dev/null2', 'write', 'deny'],
    ['sandbox/a', 'write', 'deny'],
    ['/', 'readdir', 'deny'],
    ['/anything', 'stat', 'allow'],
  ] as const)('%s, %s: %s', (path, op, expected) => {
    expect(verdict({ path, op })).toBe(expected)
  })

  test('read_only "/" lets everything be read', () => {
    const open = policyOf({ version: 1, filesystem_policy: { read_only: ['/'] } })
    expect(decideFile(open, { path: '/root/x', op: 'read' })).toMatchObject({ verdict: 'allow', rule: '/' })
    expect(decideFile(open, { path: '/root/x', op: 'write' })).toMatchObject({ verdict: 'deny', rule: '/' })
  })

  test('a write is allowed exactly below a writable directory, whatever the spelling', () => {
    const names = fc.constantFrom('a', '.', '..', '', 'sandbox', 'sandboxed')
    fc.assert(
      fc.property(fc.array(names, { maxLength: 6 }), (segments) => {
        const path = `/${segments.join('/')}`
        const plain = new URL(`file://${path}`).pathname.replace(/\/{2,}/g, '/')
        const normal = segments.includes('') ? undefined : plain
        fc.pre(normal !== undefined)
        const expected = /^\/sandbox(\/|$)/.test(plain) ? 'allow' : 'deny'
        expect(verdict({ path, op: 'write' })).toBe(expected)
      }),
    )
  })
})

describe('what is granted in the end', () => {
  const rules = { r: { endpoints: [{ host: 'a.example.com', port: 443 }], binaries: [{ path: '/x' }] } }

  test('the baseline comes with network rules only, and never overrides a listing', () => {
    expect(effectiveGrants(policy, undefined).readOnly).toEqual(['/usr/', '/etc'])
    const networked = policyOf({
      version: 1,
      filesystem_policy: { read_only: ['/tmp'], read_write: ['/proc'] },
      network_policies: rules,
    })
    const { readOnly, readWrite } = effectiveGrants(networked, undefined)
    expect(readOnly).toEqual(['/tmp', '/usr', '/lib', '/etc', '/app', '/var/log', '/dev/urandom'])
    expect(readWrite).toEqual(['/proc'])
  })

  test('without a filesystem_policy the working directory is granted, with one only on request', () => {
    expect(effectiveGrants(policyOf('version: 1'), '/work').readWrite).toEqual(['/work'])
    expect(effectiveGrants(policy, '/work').readWrite).not.toContain('/work')
  })

  test('nothing listed means no file rules at all', () => {
    expect(decideFile(policyOf('version: 1'), { path: '/root/x', op: 'write' }).verdict).toBe('allow')
  })

  test('a listed path that does not exist grants nothing', () => {
    expect(verdict({ path: '/etc/x', op: 'read', missing: ['/etc'] })).toBe('deny')
  })
})
