// Five broken policies and exactly what is said about them.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { formatProblem, parsePolicy } from '../../src/policy/read/load.ts'

const ENDPOINT_KEYS =
  'host, port, ports, path, protocol, enforcement, access, rules, deny_rules, allowed_ips, tls, allow_encoded_slash, websocket_credential_rewrite, request_body_credential_rewrite, allow_uninspected_credentials, persisted_queries, graphql_persisted_queries, graphql_max_body_bytes, json_rpc, mcp, credential_signing, signing_service, signing_region, credential_binding'

const SINCE = '; OpenShell 0.1.0 and newer refuse it'

test.each([
  [
    'unknown-keys.yaml',
    [
      '2:1: unknown key "filesystem" (known here: version, filesystem_policy, landlock, process, network_policies, network_middlewares)',
      '7:3: unknown key "readwrite" (known here: include_workdir, read_only, read_write)',
      `14:9: unknown key "protcol" (known here: ${ENDPOINT_KEYS})`,
      '16:13: allow is required',
      '16:13: unknown key "method" (known here: allow)',
      '17:13: unknown key "path" (known here: allow)',
      '20:9: unknown key "sha256" (known here: path, harness)',
    ],
  ],
  [
    'wrong-types.yaml',
    [
      '1:10: version must be an integer from 0 to 4294967295',
      '3:20: include_workdir must be true or false',
      '4:14: read_only must be a list',
      '9:15: port must be an integer from 0 to 65535',
      '11:21: must be an integer from 0 to 65535',
      '14:59: tag must be a glob string or {any: [globs]}',
      '16:9: path is required',
    ],
  ],
  [
    'unsafe-paths.yaml',
    [
      '3:15: path must be absolute: "usr/lib"',
      '3:24: path must not contain "..": "/etc/../root"',
      '3:24: warning: has no effect: "//" is read_write and the rules are a union',
      '5:7: "//" as read_write is too broad',
      '7:16: run_as_user must be sandbox or a number from 1 to 4294967294, not "root"',
      '8:17: run_as_group must be sandbox or a number from 1 to 4294967294, not "0"',
    ],
  ],
  [
    'hosts-and-rules.yaml',
    [
      `1:10: warning: the documented version is 1${SINCE}`,
      '5:15: "*" matches every host',
      '7:15: "*.com" covers a whole top-level domain',
      '9:15: after the first label a wildcard must be the whole label: "api.*x.example.com"',
      '11:9: an endpoint needs a host unless allowed_ips is given',
      '12:15: protocol tcp needs a DNS host, "db.example.com." is not one: omit the trailing dot',
      '15:9: an endpoint needs a port from 1 to 65535',
      '17:3: warning: no binaries: grants nobody',
      '21:19: unknown protocol "http" (tcp, rest, websocket, graphql, sql, json-rpc, mcp)',
      '24:19: protocol rest needs rules or access: nothing would be allowed',
      `28:17: warning: unknown preset "readonly" allows nothing (read-only, read-write, full)${SINCE}`,
      `29:22: warning: "block" means audit; only enforce blocks${SINCE}`,
      '33:11: deny_rules need a protocol',
      '33:11: deny_rules need rules or access to deny from',
      '33:37: warning: glob "/a[" has an unclosed "[": what touches it is refused',
    ],
  ],
  [
    'ambiguous.yaml',
    [
      '7:23: warning: "10.0.0.0/8" is very broad',
      '12:9: overlaps with "one" *.example.com:443 on port 443, but differs in tls (auto against skip), allowed_ips ([10.0.0.0/8] against [])',
      '15:9: overlaps with "one" git.example.org:443 on port 443, but differs in enforcement (audit against enforce)',
    ],
  ],
])('%s', (name, lines) => {
  const file = `test/fixtures/policy/broken/${name}`
  const { policy, problems } = parsePolicy(readFileSync(file, 'utf8'), { file })
  expect(problems.map(formatProblem)).toEqual(lines.map((line) => `${file}:${line}`))
  expect(policy).toBeUndefined()
})
