import { RunnerError } from '../errors.ts'

/** Hears of threads that this process may not go on with. */
export interface TenancyWatcher {
  /** Nobody could be asked for so long that another may have the thread by now: it stops, and may go on when asked again. */
  onLapsed(threadId: string): void
  /** Another process writes the thread: nothing that this one says of it is kept. */
  onLost(threadId: string): void
  /** Somebody here reads a thread that this process does not write. Called several times in the time of a lease. */
  onFollowed(threadId: string): void
}

/** Which threads this process writes: of each thread one process does, at any time. */
export interface Tenancy {
  /** This runner in all its lives, among those that share the store; undefined when none do. */
  readonly runnerId: string | undefined
  /**
   * Makes this process the writer. Idempotent.
   *
   * @throws {RunnerError} `elsewhere`, with where the thread lives in `details`; `storage_full`, `storage_damaged`,
   * `storage_unavailable`.
   */
  claim(threadId: string): Promise<void>
  /** Whether this runner was its last writer, in an earlier life too. */
  wasOurs(threadId: string): Promise<boolean>
  /** The refusal for those who ask for it here, where it does not live: `elsewhere`. */
  whereabouts(threadId: string): Promise<RunnerError>
  /** Gives the thread up, for whoever asks next. */
  release(threadId: string): Promise<void>
  /**
   * Makes this process the writer while `work` lasts, of a thread that nobody has had since an earlier call, for the time of
   * a lease; else nothing is done. It holds no lease: who claims the thread meanwhile has it at once, and `work` ends with
   * `elsewhere`.
   */
  visit(threadId: string, work: () => Promise<void>): Promise<void>
  watch(watcher: TenancyWatcher): void
}

/** Of a store that nobody else can open. */
export const SOLE_TENANT: Tenancy = {
  runnerId: undefined,
  claim: async () => undefined,
  wasOurs: async () => true,
  whereabouts: async () => new RunnerError('internal', 'Every thread lives here.'),
  release: async () => undefined,
  visit: async () => undefined,
  watch: () => undefined,
}
