import type { z } from 'zod'
import type { ErrorCode } from '../../errors.ts'

/** A schema that stands in the document once, by its name. */
export interface NamedSchema {
  name: string
  schema: z.ZodType
}

export interface RouteAnswer {
  says: string
  /** A JSON body. */
  json?: z.ZodType | NamedSchema
  /** Any other body, by its media types. */
  media?: readonly string[]
}

/** What the document says of a route, with the schemas that the route itself parses by. */
export interface RouteFacts {
  tag: 'runs' | 'threads' | 'workspace' | 'platform' | 'server'
  summary: string
  details?: string
  params?: z.ZodType
  query?: z.ZodType
  headers?: z.ZodType
  /** JSON; or whatever bytes come. */
  body?: z.ZodType | NamedSchema | 'bytes'
  /** Of a JSON body: what somebody may send to begin with. */
  example?: unknown
  answers: Readonly<Record<number, RouteAnswer>>
  /** Beside those that any such route may answer with. */
  errors?: readonly ErrorCode[]
  /** Asked without a token: by anybody, or as a page, behind the doors of Host and Origin. */
  isOpen?: 'to-all' | 'as-page'
}

declare module 'fastify' {
  interface FastifyContextConfig {
    about?: () => RouteFacts
  }
}

/**
 * The options of a route that the document is to describe: `app.get(url, about(() => ({ … })), handler)`. A function,
 * so that a server which nobody asks for its document makes none of these schemas.
 */
export function about(facts: () => RouteFacts): { config: { about: () => RouteFacts } } {
  return { config: { about: facts } }
}

/** The usual answer: 200 with JSON. */
export function ok(says: string, json: z.ZodType | NamedSchema): Record<number, RouteAnswer> {
  return { 200: { says, json } }
}
