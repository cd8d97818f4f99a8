// The launcher's definitions beside OpenShell's own, of which nothing is committed. What stands here is a digest of the fields that
// the launcher uses, made of the descriptors of published packages. With OPENSHELL_PROTO, the folder of an unpacked `openshell`
// wheel, and PYTHONPATH, where protobuf for Python lies, the descriptors themselves are read.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { protocolOf, releaseOf } from '../../src/openshell/gateway-version.ts'
import { inside, inWorkspace, openshellServices } from '../../src/openshell/service.ts'
import { MESSAGES_0_0, MESSAGES_0_1 } from '../../src/openshell/wire-messages.ts'

/** JSON in protobuf's own words, a date, and a map's entry: of no package of OpenShell. */
const WELL_KNOWN = /^(?:Struct|Value|ListValue|Timestamp|SettingEntry)\./
/** Not in 0.1, and not called there. */
const ROUTES = /^[GS]etInferenceRoute/
/** What is a number in 0.1 has a name of its own here. */
const NAMES: Record<string, string> = {
  tls_mode: 'tls',
  enforcement_mode: 'enforcement',
  access_preset: 'access',
}

const linesOf = (messages: typeof MESSAGES_0_0 | typeof MESSAGES_0_1): string[] =>
  Object.entries(messages)
    .flatMap(([name, { fields }]) =>
      Object.entries(fields).map(([key, field]) => {
        const { type, id, rule, keyType } = { rule: undefined, keyType: undefined, ...field }
        if (type === 'SettingEntry') return `${name}.${key}=${id} map<SettingValue>`
        const kind = keyType !== undefined ? `map<${type}>` : rule !== undefined ? `list<${type}>` : type
        return `${name}.${NAMES[key] ?? key}=${id} ${kind}`
      }),
    )
    .filter((line) => !WELL_KNOWN.test(line) && (messages !== MESSAGES_0_1 || !ROUTES.test(line)))
    .sort()

const digestOf = (lines: readonly string[]): string =>
  createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 16)

/** Of the descriptors of openshell 0.0.113, 0.0.115 and 0.0.116; of those of 0.1.0 to 0.1.5. */
const SEEN = [
  ['0.0', MESSAGES_0_0, 'f028e764ff601d7c'],
  ['0.1', MESSAGES_0_1, '56febdc49b8de2e2'],
] as const

test.each(SEEN)(
  '%s: numbers and types are those of the published descriptors',
  (_protocol, messages, digest) => {
    expect(digestOf(linesOf(messages))).toBe(digest)
  },
)

/** Prints `Message.field=number type` of every field of a folder's packages. */
const DUMP = `
import importlib, os, sys, types
folder = os.environ['OPENSHELL_PROTO']
for name, path in (('openshell', os.path.dirname(folder)), ('openshell._proto', folder)):
    module = types.ModuleType(name); module.__path__ = [path]; sys.modules[name] = module
from google.protobuf import descriptor_pb2
TYPES = {1: 'double', 3: 'int64', 4: 'uint64', 5: 'int32', 8: 'bool', 9: 'string', 12: 'bytes', 13: 'uint32', 14: 'int32'}
for file in sorted(os.listdir(folder)):
    if not file.endswith('_pb2.py'): continue
    proto = descriptor_pb2.FileDescriptorProto()
    importlib.import_module('openshell._proto.' + file[:-3]).DESCRIPTOR.CopyToProto(proto)
    for message in proto.message_type:
        maps = {n.name: n for n in message.nested_type if n.options.map_entry}
        for field in message.field:
            kind = TYPES.get(field.type) or field.type_name.split('.')[-1]
            if kind in maps:
                value = [f for f in maps[kind].field if f.name == 'value'][0]
                kind = 'map<%s>' % (TYPES.get(value.type) or value.type_name.split('.')[-1])
            elif field.label == 3: kind = 'list<%s>' % kind
            print('%s.%s=%d %s' % (message.name, field.name, field.number, kind))
    for service in proto.service:
        for method in service.method: print('%s.%s/%s' % (proto.package, service.name, method.name))
`

test.skipIf(!process.env['OPENSHELL_PROTO'])('the descriptors of the package at OPENSHELL_PROTO', () => {
  const lines = new Set(execFileSync('python3', ['-c', DUMP], { encoding: 'utf8' }).trim().split('\n'))
  const protocol = lines.has('WorkspaceSelector.workspace=1 string') ? '0.1' : '0.0'
  const unknown = linesOf(protocol === '0.1' ? MESSAGES_0_1 : MESSAGES_0_0).filter((line) => !lines.has(line))
  expect(unknown).toEqual([])
  const paths = Object.values(openshellServices(protocol)).map(({ path }) => path.slice(1))
  expect(paths.filter((path) => !lines.has(path))).toEqual([])
})

test('a version says which form its gateway speaks', () => {
  const forms = [
    '0.0.56',
    '0.0.87',
    '0.0.88',
    'v0.0.111',
    '0.0.116',
    '0.1.0',
    '0.1.5',
    '0.2.0',
    '1.0.0',
    '0.0.0',
    'dev',
    '',
  ]
  expect(forms.map((version) => protocolOf(releaseOf(version)))).toEqual([
    ...[undefined, undefined],
    ...['0.0', '0.0', '0.0', '0.1', '0.1', '0.1', '0.1', '0.0', '0.0', '0.0'],
  ])
})

test('one message says the same in both forms', () => {
  const word = fc.string({ minLength: 1, maxLength: 30 })
  const services = [openshellServices('0.0'), openshellServices('0.1')]
  fc.assert(
    fc.property(word, word, word, fc.array(word), (name, workspace, id, command) => {
      const request = { ...inside({ name, workspace, id }), ...inWorkspace(workspace), command }
      const [first, second] = services.map(({ ExecSandbox: { requestSerialize, requestDeserialize } }) =>
        requestDeserialize(requestSerialize(request)),
      )
      const said = command.length === 0 ? {} : { command }
      expect(first).toEqual({ sandbox_id: id, ...said })
      expect(second).toEqual({ sandbox: name, workspace_scope: { workspace }, ...said })
    }),
  )
})
