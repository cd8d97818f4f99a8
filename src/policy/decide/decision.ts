// The questions to a policy and its answers. Pure data; egress.ts and file-access.ts decide.

import type { BodyReading, GraphqlRequest, JsonRpcRequest } from '../request/body.ts'

/** The answer. `audit`: OpenShell lets the request pass and logs that the policy does not permit it. */
type Verdict = 'allow' | 'deny' | 'audit'

/** The gate that answered: host, port and binary; destination address; request; inference.local; file system. */
type Stage = 'l4' | 'ssrf' | 'l7' | 'inference' | 'file'

export interface Decision {
  verdict: Verdict
  stage: Stage
  /** The key in network_policies, or the listed path that covers a file. */
  rule?: string
  /** One sentence without secrets: it may name the host, port, method and path, never a query or a header. */
  reason: string
  /** Set when a connection passes L4: `terminate` means that TLS is opened, `skip` that bytes pass uninspected. */
  tls?: 'terminate' | 'skip'
  /** Set when a connection passes L4: whether its requests must be judged one by one. */
  inspect?: boolean
  /** Set when a request was refused only because its body or message is not read yet. */
  reading?: BodyReading
  /** Set when a WebSocket upgrade passes. Each of its messages must then be judged, as WEBSOCKET_TEXT. */
  isWebSocket?: true
}

/** A connection or a request to judge. Without `method` the question is the connection alone (CONNECT). */
export interface EgressRequest {
  /** The host as the client wrote it, with its case and a trailing dot. IPv6 with or without brackets. */
  host: string
  port: number
  /** The kernel's path of the executable. When it is undefined, any binary that a rule lists counts. */
  binary?: string | undefined
  /** The kernel's paths of the parent processes, nearest first. */
  ancestors?: readonly string[] | undefined
  /** The SHA-256 of the binary when it was first seen, and now. */
  hash?: { first: string; now: string } | undefined
  /** The addresses of `host`. Undefined before the lookup: only what is certain without them is judged then. */
  addresses?: readonly string[] | undefined
  /** The address to which the host-gateway aliases may lead, when the driver named one. */
  trustedGateway?: string | undefined
  transport?: 'connect' | 'plain-http' | undefined
  /** The HTTP method, or WEBSOCKET_TEXT for a text frame that the client sends. */
  method?: string | undefined
  /** The request target as on the wire, query included. "/" when undefined. */
  path?: string | undefined
  hostHeader?: string | undefined
  /** Whether the request is a WebSocket upgrade. When undefined, a GET on a websocket endpoint counts as an upgrade. */
  upgrade?: boolean | undefined
  /** Whether the body is not read yet. The caller then reads it as `Decision.reading` says, and asks again. */
  isBodyUnread?: boolean | undefined
  graphql?: GraphqlRequest | undefined
  jsonRpc?: JsonRpcRequest | undefined
}

export type FileOperation = 'read' | 'write' | 'exec' | 'readdir' | 'stat'

export interface FileRequest {
  /** The absolute path. */
  path: string
  op: FileOperation
  /** The path without links. It decides when given, because Landlock looks at the inode. */
  realpath?: string | undefined
  workdir?: string | undefined
  /** Listed paths that do not exist. They and `symlinks` decide whether the sandbox starts at all. */
  missing?: readonly string[] | undefined
  symlinks?: readonly string[] | undefined
}
