// What is asked and what is answered. Pure data; the deciding is in egress.ts and file-access.ts.

import type { BodyReading, GraphqlRequest, JsonRpcRequest } from '../request/body.ts'

/** `audit`: OpenShell lets it pass and logs that the policy does not permit it. */
type Verdict = 'allow' | 'deny' | 'audit'

/** Which gate answered: host, port and binary; destination address; request; inference.local; file system. */
type Stage = 'l4' | 'ssrf' | 'l7' | 'inference' | 'file'

export interface Decision {
  verdict: Verdict
  stage: Stage
  /** Key in network_policies, or the listed path that grants a file. */
  rule?: string
  /** One sentence without secrets: it may name the host, port, method and path, never a query or a header. */
  reason: string
  /** Set when a connection passes L4: `terminate` means TLS is opened, `skip` that bytes pass unseen. */
  tls?: 'terminate' | 'skip'
  /** Set when a connection passes L4: must its requests be judged one by one? */
  inspect?: boolean
  /** Set when a request was refused only because its body or message is not read yet. */
  reading?: BodyReading
  /** Set when an upgrade passes whose messages are to be judged, each as WEBSOCKET_TEXT. */
  isWebSocket?: true
}

/** Without `method` the question is the connection alone (CONNECT). */
export interface EgressRequest {
  /** As the client wrote it: no lower-casing, no trailing dot removed. IPv6 with or without brackets. */
  host: string
  port: number
  /** Kernel path of the executable. Undefined: not known, and then any binary a rule lists counts. */
  binary?: string | undefined
  /** Kernel paths of the parent processes, nearest first. */
  ancestors?: readonly string[] | undefined
  /** SHA-256 of the binary when first seen and now. */
  hash?: { first: string; now: string } | undefined
  /** What `host` resolves to. Undefined: not resolved yet, and only what is certain without is judged. */
  addresses?: readonly string[] | undefined
  /** Where the host-gateway aliases may lead, when the driver said so. */
  trustedGateway?: string | undefined
  transport?: 'connect' | 'plain-http' | undefined
  /** HTTP method, or WEBSOCKET_TEXT for a text frame the client sends. */
  method?: string | undefined
  /** Request target as on the wire, query included. "/" when undefined. */
  path?: string | undefined
  hostHeader?: string | undefined
  /** Is it a WebSocket upgrade? Undefined: a GET on a websocket endpoint counts as one. */
  upgrade?: boolean | undefined
  /** The caller reads the body in the way named here, and asks again. */
  isBodyUnread?: boolean | undefined
  graphql?: GraphqlRequest | undefined
  jsonRpc?: JsonRpcRequest | undefined
}

export type FileOperation = 'read' | 'write' | 'exec' | 'readdir' | 'stat'

export interface FileRequest {
  /** Absolute. */
  path: string
  op: FileOperation
  /** What `path` resolves to; decides when given, as Landlock looks at the inode. */
  realpath?: string | undefined
  workdir?: string | undefined
  /** Listed paths that do not exist, or are symbolic links: they decide whether the sandbox starts at all. */
  missing?: readonly string[] | undefined
  symlinks?: readonly string[] | undefined
}
