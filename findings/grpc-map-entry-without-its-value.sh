#!/usr/bin/env bash
# @grpc/proto-loader and protobufjs: an entry of a `map<string, Message>` may come without its value, which then is the empty
# message; Rust's prost writes an empty one so. The message that has such an entry cannot be read: protobufjs keeps null for the
# value and fails on it. The same bytes are read when the field is declared as what a map is on the wire, a list of entries.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts @grpc/proto-loader@0.8.1 protobufjs@7.6.6 >/dev/null 2>&1
cat >read.mjs <<'JS'
import { readFileSync } from 'node:fs'
import { fromJSON } from '@grpc/proto-loader'

const version = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version
const text = (id) => ({ type: 'string', id })
const nested = {
  Value: { fields: { text: text(1) } },
  Entry: { fields: { key: text(1), value: { type: 'Value', id: 2 } } },
  AsMap: { fields: { settings: { keyType: 'string', type: 'Value', id: 1 } } },
  AsList: { fields: { settings: { rule: 'repeated', type: 'Entry', id: 1 } } },
  Service: {
    methods: {
      Map: { requestType: 'AsMap', responseType: 'AsMap' },
      List: { requestType: 'AsList', responseType: 'AsList' },
    },
  },
}
const { Map: asMap, List: asList } = fromJSON({ nested }).Service
const read = (method, bytes) => {
  try {
    return JSON.stringify(method.responseDeserialize(bytes))
  } catch (error) {
    return String(error)
  }
}
// settings { key: "a" value { text: "x" } }, and settings { key: "a" }.
const whole = Buffer.from('0a080a016112030a0178', 'hex')
const withoutValue = Buffer.from('0a030a0161', 'hex')
console.log(`@grpc/proto-loader ${version('@grpc/proto-loader')}, protobufjs ${version('protobufjs')}`)
const seen = [read(asMap, whole), read(asMap, withoutValue), read(asList, withoutValue)]
console.log(seen.join('\n'))
const expected = ['{"settings":{"a":{"text":"x"}}}', /^TypeError: .*null/, '{"settings":[{"key":"a"}]}']
process.exit(seen.every((one, at) => (expected[at].test?.(one) ?? one === expected[at])) ? 0 : 1)
JS
node read.mjs
