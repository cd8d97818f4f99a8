// What a request's body asks for, as far as a policy can speak of it.

/** How to read a body, or a message, for its endpoint. */
export interface BodyReading {
  protocol: 'graphql' | 'json-rpc' | 'mcp'
  /** Longest body. */
  bytesMax: number
  /** MCP: tools have names of the form that the specification recommends. */
  hasStrictToolNames: boolean
}

export interface GraphqlOperation {
  /** query, mutation or subscription; "" for a persisted query of unknown kind. */
  type: string
  name?: string | undefined
  /** Root fields. */
  fields?: readonly string[] | undefined
  persisted?: { hash?: string; id?: string }
}

export interface GraphqlRequest {
  operations: readonly GraphqlOperation[]
  /** Why the body could not be read; refuses the request even under audit. */
  error?: string | undefined
}

export interface JsonRpcRequest {
  calls: readonly { method: string; tool?: string }[]
  isBatch?: boolean | undefined
  /** A result or error frame sent by the client. */
  hasResponse?: boolean | undefined
  /** A bodyless GET that accepts text/event-stream. */
  isReceiveStream?: boolean | undefined
  error?: string | undefined
}
