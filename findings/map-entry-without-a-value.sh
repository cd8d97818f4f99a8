#!/usr/bin/env bash
# protobufjs 7, which @grpc/proto-loader brings, and a map whose values are messages. An encoder may leave an empty value out of
# its entry, and prost does; a parser then takes the default, an empty message. protobufjs 7 makes null of it, and its toObject,
# by which proto-loader hands every answer over, throws. protobufjs 8 reads the empty message, as Buf's parser does. A gateway of
# OpenShell 0.0.112-dev (prost) answers GetGatewayConfig so from its first start on.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts \
  protobufjs@7.6.6 protobufjs8@npm:protobufjs@8.8.1 @grpc/proto-loader@0.8.1 @bufbuild/protobuf@2.17.0 >/dev/null 2>&1
cat >run.mjs <<'JS'
import { create, createFileRegistry, fromBinary, toJson } from '@bufbuild/protobuf'
import { FieldDescriptorProto_Label, FieldDescriptorProto_Type, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import { fromJSON } from '@grpc/proto-loader'
import protobuf from 'protobufjs'
import protobuf8 from 'protobufjs8'

// message Answer { map<string, Value> settings = 1; }  message Value { bool yes = 2; }
// One entry: field 1, three bytes: its key (field 1) is "k", and nothing more.
const wire = Buffer.from([0x0a, 0x03, 0x0a, 0x01, 0x6b])
const table = {
  nested: {
    Answer: { fields: { settings: { keyType: 'string', type: 'Value', id: 1 } } },
    Value: { fields: { yes: { type: 'bool', id: 2 } } },
    Talk: { methods: { Ask: { requestType: 'Value', responseType: 'Answer' } } },
  },
}
const attempt = (name, run) => {
  try {
    console.log(`${name}: ${JSON.stringify(run())}`)
  } catch (error) {
    console.log(`${name}: ${error.constructor.name}: ${error.message}`)
  }
}
for (const [name, { Root }] of Object.entries({ 'protobufjs 7.6.6': protobuf, 'protobufjs 8.8.1': protobuf8 })) {
  const Answer = Root.fromJSON(table).lookupType('Answer')
  attempt(`${name} decode`, () => Answer.decode(wire).settings)
  attempt(`${name} toObject`, () => Answer.toObject(Answer.decode(wire)))
}
const { Ask } = fromJSON({ nested: { talk: table } })['talk.Talk']
attempt('@grpc/proto-loader 0.8.1', () => Ask.responseDeserialize(wire))

const { OPTIONAL: optional, REPEATED: repeated } = FieldDescriptorProto_Label
const { MESSAGE, STRING, BOOL } = FieldDescriptorProto_Type
const file = create(FileDescriptorProtoSchema, {
  name: 'a.proto',
  syntax: 'proto3',
  messageType: [
    {
      name: 'Answer',
      field: [{ name: 'settings', jsonName: 'settings', number: 1, label: repeated, type: MESSAGE, typeName: '.Answer.SettingsEntry' }],
      nestedType: [
        {
          name: 'SettingsEntry',
          options: { mapEntry: true },
          field: [
            { name: 'key', number: 1, label: optional, type: STRING },
            { name: 'value', number: 2, label: optional, type: MESSAGE, typeName: '.Value' },
          ],
        },
      ],
    },
    { name: 'Value', field: [{ name: 'yes', jsonName: 'yes', number: 2, label: optional, type: BOOL }] },
  ],
})
const registry = createFileRegistry(file, () => undefined)
attempt('@bufbuild/protobuf 2.17.0', () => {
  const schema = registry.getMessage('Answer')
  return toJson(schema, fromBinary(schema, wire))
})
JS
got=$(node run.mjs)
echo "$got"
# Seen on 2026-11-28, Node 20.20.2.
expected='protobufjs 7.6.6 decode: {"k":null}
protobufjs 7.6.6 toObject: TypeError: Cannot read properties of null (reading '"'yes'"')
protobufjs 8.8.1 decode: {"k":{}}
protobufjs 8.8.1 toObject: {"settings":{"k":{}}}
@grpc/proto-loader 0.8.1: TypeError: Cannot read properties of null (reading '"'yes'"')
@bufbuild/protobuf 2.17.0: {"settings":{"k":{}}}'
[ "$got" = "$expected" ] || { echo 'not as it was seen' >&2; exit 1; }
