import { RunnerError } from '../errors.ts'

/** Callbacks about threads that this process has to stop writing, or reads without writing. */
export interface TenancyWatcher {
  /**
   * The lease ended without a renewal, so another process may have the thread by now. Its run stops; the thread may
   * go on after a later renewal.
   */
  onLapsed(threadId: string): void
  /** Another process writes the thread: further commits of this process are refused. */
  onLost(threadId: string): void
  /** A client here reads a thread that this process does not write. Called several times per lease period. */
  onFollowed(threadId: string): void
}

/** Which threads this process writes. At any time, at most one process writes a thread. */
export interface Tenancy {
  /** Id of this runner, kept across restarts, among those that share the store; undefined when none do. */
  readonly runnerId: string | undefined
  /**
   * Makes this process the thread's writer. Safe to call twice.
   *
   * @throws {RunnerError} `elsewhere`, with `threadId` and the other runner's `url` in `details`; `storage_full`, `storage_damaged`,
   * `storage_unavailable`.
   */
  claim(threadId: string): Promise<void>
  /** Whether this runner was the thread's last writer, in this process or an earlier one. */
  wasOurs(threadId: string): Promise<boolean>
  /** Returns the `elsewhere` error for a client that asks here for a thread that does not live here. */
  whereabouts(threadId: string): Promise<RunnerError>
  /** Gives the thread up, so that any process can claim it. */
  release(threadId: string): Promise<void>
  /**
   * Makes this process the writer while `work` lasts. Does nothing unless nobody has had the thread since an earlier
   * call, for at least a lease period. A visit holds no lease: a process that claims the thread meanwhile has it at
   * once, and `work` ends with `elsewhere`.
   */
  visit(threadId: string, work: () => Promise<void>): Promise<void>
  watch(watcher: TenancyWatcher): void
}

/** The tenancy of a store that no other process can open. */
export const SOLE_TENANT: Tenancy = {
  runnerId: undefined,
  claim: async () => undefined,
  wasOurs: async () => true,
  whereabouts: async () => new RunnerError('internal', 'Every thread lives here.'),
  release: async () => undefined,
  visit: async () => undefined,
  watch: () => undefined,
}
