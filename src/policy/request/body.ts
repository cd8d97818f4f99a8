// The contents of a request's body that a policy can judge.

/** How a body, or a WebSocket message, is read for its endpoint. */
export interface BodyReading {
  protocol: 'graphql' | 'json-rpc' | 'mcp'
  /** Upper bound of the body, in bytes. */
  bytesMax: number
  /** For MCP: whether tool names must have the form that the specification recommends. */
  hasStrictToolNames: boolean
}

export interface GraphqlOperation {
  /** `query`, `mutation` or `subscription`; "" for a persisted query of unknown kind. */
  type: string
  name?: string | undefined
  /** The root fields that the operation selects. */
  fields?: readonly string[] | undefined
  persisted?: { hash?: string; id?: string }
}

export interface GraphqlRequest {
  operations: readonly GraphqlOperation[]
  /** Why the body could not be read. The request is then refused even under `audit`. */
  error?: string | undefined
}

export interface JsonRpcRequest {
  calls: readonly { method: string; tool?: string }[]
  isBatch?: boolean | undefined
  /** Whether the client sent a result or an error. */
  hasResponse?: boolean | undefined
  /** Whether the request is a GET without a body that accepts text/event-stream. */
  isReceiveStream?: boolean | undefined
  error?: string | undefined
}
