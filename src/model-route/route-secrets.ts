import { inspect } from 'node:util'
import type { HttpProxy } from '../proxy-settings.ts'

export interface RouteSecretsOptions {
  /** The address that requests go to, credentials and query included; null when the route has none. */
  baseUrl: string | null
  /** The proxy on the way, with its credentials; null when there is none. */
  proxy: HttpProxy | null
  /** The headers that a request authenticates with: lower-case names to values. */
  headers: Readonly<Record<string, string>>
}

/** Holds what a request on the route needs and nobody may read. It prints, logs and serialises as nothing. */
export class RouteSecrets {
  readonly #options: RouteSecretsOptions

  constructor(options: RouteSecretsOptions) {
    this.#options = options
  }

  reveal(): RouteSecretsOptions {
    return this.#options
  }

  toJSON(): undefined {
    return undefined
  }

  [inspect.custom](): string {
    return 'RouteSecrets {}'
  }
}
