import type { z } from 'zod'
import type { ErrorCode } from '../../errors.ts'

/** A schema that the document contains once, under its name. */
export interface NamedSchema {
  name: string
  schema: z.ZodType
}

export interface RouteAnswer {
  says: string
  /** The schema of a JSON body. */
  json?: z.ZodType | NamedSchema
  /** The media types of any other body. */
  media?: readonly string[]
}

/** The description of a route in the document, with the schemas that the route itself parses with. */
export interface RouteFacts {
  tag: 'runs' | 'threads' | 'workspace' | 'platform' | 'server'
  summary: string
  details?: string
  params?: z.ZodType
  query?: z.ZodType
  headers?: z.ZodType
  /** The schema of a JSON body, or `bytes` for a body of any content. */
  body?: z.ZodType | NamedSchema | 'bytes'
  /** A JSON body that a reader of the document can send as a first try. */
  example?: unknown
  answers: Readonly<Record<number, RouteAnswer>>
  /** The errors of this route, beside those that every route with the same openness can answer with. */
  errors?: readonly ErrorCode[]
  /** Set for a route that needs no token: `to-all` for anyone, `as-page` behind the Host and Origin checks. */
  isOpen?: 'to-all' | 'as-page'
}

declare module 'fastify' {
  interface FastifyContextConfig {
    about?: () => RouteFacts
  }
}

/**
 * Returns the options of a route that the document describes: `app.get(url, about(() => ({ … })), handler)`. `facts` is
 * a function, so that the schemas are built only when the document is requested.
 */
export function about(facts: () => RouteFacts): { config: { about: () => RouteFacts } } {
  return { config: { about: facts } }
}

/** Returns the usual answer: 200 with JSON. */
export function ok(says: string, json: z.ZodType | NamedSchema): Record<number, RouteAnswer> {
  return { 200: { says, json } }
}
