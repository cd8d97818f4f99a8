// The contract's route rules, one row per combination. `adds` and `drops` are the whole difference between the
// environment that goes in and the one that Claude Code gets, apart from the settings of every start.
// <tls> is the sandbox's TLS folder; `files` says what is in it.

export type Tls = 'empty' | 'ca' | 'ca+bundle'

export interface RouteRow {
  title: string
  tls?: Tls
  env: Record<string, string>
  kind: string
  /** The variable that authenticates; '' for none. */
  credential: string
  adds?: Record<string, string>
  drops?: readonly string[]
}
